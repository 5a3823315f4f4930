# SPDX-License-Identifier: Apache-2.0
"""`node token`: the word with which one machine may become a node."""

import re
from typing import Any
from urllib.parse import quote

import click

from zun.cli import output as printing
from zun.cli.invocation import client_of, output_option

PATH = "/v1/nodes/tokens"
_DURATION = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(text: str) -> int:
    """Seconds, of `90`, `90s`, `30m`, `2h` or `1d`. Raises `click.BadParameter`."""
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise click.BadParameter("give a duration such as 90s, 30m, 2h or 1d.")
    return int(found["number"]) * _SECONDS[found["unit"]]


@click.command()
@click.option("--name", help="The only name to join under. If there is such a node, the machine takes its place.")
@click.option("--ttl", metavar="TIME", help="How long it lets a machine join: 30m, 2h; at most a day (default: 1h).")
@click.option("--revoke", metavar="ID", help="Instead of making one: make that one worthless.")
@output_option
@click.pass_context
def token(ctx: click.Context, name: str | None, ttl: str | None, revoke: str | None, output: str) -> None:
    """Make a token with which one machine may become a node; print what to run there. It is shown only once."""
    client = client_of(ctx)
    if revoke is not None:
        if name is not None or ttl is not None:
            raise click.UsageError("--revoke goes alone.")
        client.send("DELETE", f"{PATH}/{quote(revoke, safe='')}")
        click.echo(revoke)
        return
    body: dict[str, Any] = {} if name is None else {"name": name}
    if ttl is not None:
        body["seconds"] = duration(ttl)
    made = client.request("POST", PATH, body=body)
    if printing.show(made, output):
        return
    whose = f"node {made['name']}" if made["name"] else "a machine that is no node yet"
    printing.note(f"For {whose}, until {made['expires_at']} UTC, once. Run there, as root:")
    click.echo(f"zund compute --join {made['token']}")
    printing.note(f"If it gets into wrong hands: zunctl node token --revoke {made['id']}")
