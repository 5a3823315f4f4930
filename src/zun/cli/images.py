# SPDX-License-Identifier: Apache-2.0
"""`images`: images on the hosts, and the public registry's."""

from urllib.parse import quote

import click

from zun.cli import output as printing
from zun.cli.changing import split_reference
from zun.cli.failures import NOT_FOUND, Failure
from zun.cli.invocation import Several, client_of, output_option
from zun.cli.words import size


@click.group()
def images() -> None:
    """Images on the hosts; for administrators, but for search."""


@images.command("list")
@click.option("-q", "--quiet", is_flag=True, help="Ids only.")
@output_option
@click.pass_context
def list_(ctx: click.Context, output: str, *, quiet: bool) -> None:
    """List the images that were pulled."""
    found = client_of(ctx).items("/v1/images", "images")
    if quiet:
        for item in found:
            click.echo(item["uuid"])
    elif not printing.show(found, output):
        rows = [[item["repo"], item["tag"], _size(item["size"]), item["host"], item["uuid"]] for item in found]
        printing.table(["REPOSITORY", "TAG", "SIZE", "HOST", "ID"], rows)


def _size(text: str | None) -> str | None:
    return size(float(text)) if text and text.isdigit() else text


@images.command()
@click.argument("reference", metavar="REPOSITORY[:TAG]")
@click.option("--host", help="On which host; needed when there is more than one.")
@output_option
@click.pass_context
def pull(ctx: click.Context, reference: str, host: str | None, output: str) -> None:
    """Make a host fetch an image; it goes on in the background. Prints the image's id."""
    client = client_of(ctx)
    if host is None:
        known = [item["hostname"] for item in client.items("/v1/hosts", "hosts")]
        if len(known) != 1:
            raise click.UsageError(f"--host is needed: there are {len(known)} hosts ({', '.join(known) or 'none'}).")
        host = known[0]
    repository, tag = split_reference(reference)
    body = {"repo": repository, "host": host} | ({"tag": tag} if tag else {})
    made = client.request("POST", "/v1/images", body=body)
    if not printing.show(made, output):
        click.echo(made["uuid"])


@images.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.pass_context
def rm(ctx: click.Context, images: tuple[str, ...]) -> int:
    """Remove images by id or REPOSITORY[:TAG]."""
    client, several = client_of(ctx), Several()
    known = client.items("/v1/images", "images")
    for ident in images:
        with several.one(ident):
            repository, tag = split_reference(ident)
            meant = [
                item["uuid"]
                for item in known
                if item["uuid"] == ident or (item["repo"], item["tag"]) == (repository, tag or "latest")
            ]
            if not meant:
                raise Failure(f"There is no image {ident}.", NOT_FOUND)
            for uuid in meant:
                client.send("DELETE", f"/v1/images/{uuid}")
            click.echo(ident)
    return several.exit_code


@images.command()
@click.argument("term")
@click.option("--exact", is_flag=True, help="Only this very name.")
@output_option
@click.pass_context
def search(ctx: click.Context, term: str, output: str, *, exact: bool) -> None:
    """Search the public registry."""
    found = client_of(ctx).get(f"/v1/images/{quote(term, safe='')}/search", {"exact_match": exact})
    if printing.show(found, output):
        return
    rows = []
    for item in found:
        facts = item.get("metadata") or {}
        rows.append([item.get("name"), facts.get("star_count"), facts.get("is_official"), item.get("description")])
    printing.table(["NAME", "STARS", "OFFICIAL", "DESCRIPTION"], rows)
