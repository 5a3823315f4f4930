# SPDX-License-Identifier: Apache-2.0
"""`commit`, `rename`, `update`, `rebuild`: containers changed, or kept as an image."""

from typing import Any

import click

from zun.cli import output as printing
from zun.cli.client import container_path
from zun.cli.container_options import change_options, request_body
from zun.cli.containers import act, find, finish, settled
from zun.cli.failures import Failure
from zun.cli.invocation import Several, client_of, container_argument, containers_argument, output_option
from zun.cli.lifecycle import waiting_options
from zun.cli.progress import Progress
from zun.cli.watch import wait_until


@click.command()
@container_argument
@click.argument("reference", metavar="REPOSITORY[:TAG]")
@click.pass_context
def commit(ctx: click.Context, container: str, reference: str) -> None:
    """Make an image of a container's files; prints the image's id."""
    client = client_of(ctx)
    repository, tag = split_reference(reference)
    path = container_path(find(client, container)["uuid"], "commit")
    made = client.request("POST", path, query={"repository": repository, "tag": tag})
    click.echo(made["uuid"])


def split_reference(reference: str) -> tuple[str, str | None]:
    """`REPOSITORY` and `TAG`; the colon of a registry's port is none."""
    repository, colon, tag = reference.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (reference, None)


@click.command()
@container_argument
@click.argument("name")
@click.pass_context
def rename(ctx: click.Context, container: str, name: str) -> None:
    """Give a container another name."""
    client = client_of(ctx)
    click.echo(client.request("PATCH", container_path(find(client, container)["uuid"]), body={"name": name})["name"])


@click.command()
@container_argument
@change_options
@click.option(
    "--auto-heal/--no-auto-heal", "heal", default=None, help="Whether to make it again when the engine lost it."
)
@output_option
@click.pass_context
def update(ctx: click.Context, /, container: str, output: str, *, heal: bool | None, **given: Any) -> None:
    """Change a container's limits while it runs, or its name."""
    body = request_body(given) | ({} if heal is None else {"auto_heal": heal})
    if not body:
        raise click.UsageError("Nothing to change: give --cpu, --memory, --name or --auto-heal.")
    client = client_of(ctx)
    changed = client.request("PATCH", container_path(find(client, container)["uuid"]), body=body)
    if not printing.show(changed, output):
        click.echo(changed["name"])


@click.command()
@containers_argument
@click.option("--image", help="Another image.")
@click.option("--image-driver", type=click.Choice(["docker", "glance"]), help="Where that image comes from.")
@waiting_options
@click.pass_context
def rebuild(
    ctx: click.Context,
    containers: tuple[str, ...],
    image: str | None,
    image_driver: str | None,
    *,
    wait: bool,
    patience: float,
) -> int:
    """Make containers anew with the same settings; what they wrote into their own files is lost."""
    client, several = client_of(ctx), Several()
    progress = Progress()
    for ident in containers:
        with several.one(ident):
            container = find(client, ident)
            request_id = act(client, container, "rebuild", {"image": image, "image_driver": image_driver})
            if wait:
                try:
                    last = wait_until(client, container["uuid"], settled, seconds=patience, seen=progress)
                finally:
                    progress.clear()
                finish(client, container, request_id, patience)
                if last is None:
                    raise Failure(f"{container['name']} was removed meanwhile.")
            click.echo(container["name"])
    return several.exit_code
