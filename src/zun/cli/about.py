# SPDX-License-Identifier: Apache-2.0
"""`version`, `config`, `completion`: zunctl itself."""

import click

from zun import __version__
from zun.cli import output as printing
from zun.cli.access import find_access
from zun.cli.client import MICROVERSION
from zun.cli.clouds import CLOUDS_FILES
from zun.cli.failures import Failure
from zun.cli.invocation import client_of, output_option


@click.command()
@output_option
@click.pass_context
def version(ctx: click.Context, output: str) -> None:
    """Versions of client and service."""
    client = client_of(ctx)
    found = client.get("/")["versions"][0]
    told = {
        "client": __version__,
        "client speaks": MICROVERSION,
        "service": client.access.url,
        "service speaks": f"{found['min_version']} to {found['max_version']}",
    }
    if not printing.show(told, output):
        printing.details(told)


@click.command()
@output_option
@click.pass_context
def config(ctx: click.Context, output: str) -> None:
    """Where zunctl finds the service, without secrets."""
    settings = ctx.find_root().obj
    told: dict[str, object] = {}
    try:
        access = find_access(url=settings["url"], token=settings["token"], cloud=settings["cloud"])
        told = {"url": access.url, "token": "(set)", "project": access.project_id, "from": access.source}
    except Failure as failure:
        told = {"problem": failure.message}
    told["order"] = "--url/--token, ZUN_URL/ZUN_TOKEN, --os-cloud/OS_CLOUD, OS_* variables, local.json"
    told["clouds.yaml"] = ", ".join(str(path) for path in CLOUDS_FILES if path.is_file()) or None
    if not printing.show(told, output):
        printing.details(told)


_SCRIPTS = {
    "bash": 'eval "$(_ZUNCTL_COMPLETE=bash_source zunctl)"',
    "zsh": 'eval "$(_ZUNCTL_COMPLETE=zsh_source zunctl)"',
    "fish": "_ZUNCTL_COMPLETE=fish_source zunctl | source",
}


@click.command()
@click.argument("shell", type=click.Choice(sorted(_SCRIPTS)))
def completion(shell: str) -> None:
    """Print a line for your shell's start-up file that completes commands, options and container names."""
    click.echo(_SCRIPTS[shell])
