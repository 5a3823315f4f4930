# SPDX-License-Identifier: Apache-2.0
"""`port`: where the ports of a container are found; and how they are written."""

from typing import Any

import click

from zun.cli import output as printing
from zun.cli.containers import find
from zun.cli.invocation import client_of, output_option


@click.command()
@output_option
@click.argument("container")
@click.pass_context
def port(ctx: click.Context, *, output: str, container: str) -> None:
    """Show the ports of a container that are published: one a line, and where it is found."""
    published = find(client_of(ctx), container).get("published_ports") or []
    if printing.show(published, output):
        return
    for one in published:
        click.echo(f"{_own(one)} -> {_found_at(one)}")


def on_one_line(item: dict[str, Any]) -> str:
    """The published ports of a container: `0.0.0.0:8080->80/tcp`."""
    return ", ".join(f"{_found_at(one)}->{_own(one)}" for one in item.get("published_ports") or ())


def _own(one: dict[str, Any]) -> str:
    return f"{one['port']}/{one['protocol']}"


def _found_at(one: dict[str, Any]) -> str:
    """Before it has a place, the address is not known, and perhaps no port."""
    address = one.get("host_address") or "?"
    return f"{f'[{address}]' if ':' in address else address}:{one.get('host_port') or '?'}"
