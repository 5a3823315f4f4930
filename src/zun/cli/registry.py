# SPDX-License-Identifier: Apache-2.0
"""`registry`: private registries and the logins for them."""

import getpass
import sys
from typing import Any
from urllib.parse import quote

import click

from zun.cli import output as printing
from zun.cli.invocation import client_of, delete_each, output_option


@click.group()
def registry() -> None:
    """Private registries; `run --registry NAME` pulls from one."""


@registry.command("list")
@click.option("--all-projects", is_flag=True, help="Of every project; for administrators.")
@output_option
@click.pass_context
def list_(ctx: click.Context, output: str, *, all_projects: bool) -> None:
    """List them."""
    found = client_of(ctx).items("/v1/registries", "registries", {"all_projects": all_projects or None})
    if not printing.show(found, output):
        rows = [[item["name"], item["domain"], item["username"], item["uuid"]] for item in found]
        printing.table(["NAME", "DOMAIN", "USER", "ID"], rows)


@registry.command()
@click.argument("name")
@output_option
@click.pass_context
def show(ctx: click.Context, name: str, output: str) -> None:
    """Show one; the password is never shown."""
    _print(client_of(ctx).get(_path(name))["registry"], output)


@registry.command()
@click.argument("name")
@click.argument("domain")
@click.option("-u", "--username", help="A login.")
@click.option("--password", help="Its password; asked for when absent. Better not on a shared command line.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@output_option
@click.pass_context
def create(ctx: click.Context, /, name: str, domain: str, output: str, **login: Any) -> None:
    """Make a registry DOMAIN (host[:port]) known as NAME."""
    body = {"name": name, "domain": domain} | _login(**login)
    _print(client_of(ctx).request("POST", "/v1/registries", body={"registry": body})["registry"], output)


@registry.command()
@click.argument("name")
@click.option("--name", "new_name", help="Another name.")
@click.option("--domain", help="Another domain.")
@click.option("-u", "--username", help="Another login.")
@click.option("--password", help="Its password; asked for when absent.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@output_option
@click.pass_context
def update(
    ctx: click.Context, /, name: str, new_name: str | None, domain: str | None, output: str, **login: Any
) -> None:
    """Change one."""
    named = {"name": new_name, "domain": domain}
    body = {key: value for key, value in named.items() if value is not None}
    body |= _login(**login)
    if not body:
        raise click.UsageError("Nothing to change: give --name, --domain, --username or --password.")
    _print(client_of(ctx).request("PATCH", _path(name), body={"registry": body})["registry"], output)


@registry.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.pass_context
def rm(ctx: click.Context, names: tuple[str, ...]) -> int:
    """Forget registries; refused while a container uses one."""
    return delete_each(ctx, names, _path)


def _path(name: str) -> str:
    return f"/v1/registries/{quote(name, safe='')}"


def _login(*, username: str | None, password: str | None, password_stdin: bool) -> dict[str, str]:
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    if username is not None and password is None:
        password = _asked()
    given = {"username": username, "password": password}
    return {key: value for key, value in given.items() if value is not None}


def _asked() -> str:
    try:
        return getpass.getpass("Password: ")
    except EOFError as error:
        raise click.UsageError("No password was given; use --password-stdin in scripts.") from error


def _print(found: dict[str, Any], output: str) -> None:
    if not printing.show(found, output):
        printing.details({key: value for key, value in found.items() if key != "links"})
