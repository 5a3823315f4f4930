# SPDX-License-Identifier: Apache-2.0
"""`services`: the parts of the service on the hosts; for administrators."""

from datetime import UTC, datetime

import click

from zun.cli import output as printing
from zun.cli.client import Query
from zun.cli.invocation import client_of, output_option
from zun.cli.words import age

BINARY = "zun-compute"
_HOST = click.argument("host")
_BINARY = click.option("--binary", default=BINARY, show_default=True, help="Which part.")


@click.group()
def services() -> None:
    """State of the service's parts; for administrators."""


@services.command("list")
@output_option
@click.pass_context
def list_(ctx: click.Context, output: str) -> None:
    """List them."""
    found = client_of(ctx).get("/v1/services")["services"]
    if printing.show(found, output):
        return
    now = datetime.now(UTC)
    rows = [
        [
            item["host"], item["binary"], item["state"],
            "forced down" if item["forced_down"] else "disabled" if item["disabled"] else "enabled",
            item["disabled_reason"], item["availability_zone"], age(item["last_seen_up"], now),
        ]
        for item in found
    ]  # fmt: skip
    printing.table(["HOST", "BINARY", "STATE", "NEW CONTAINERS", "REASON", "ZONE", "SEEN"], rows)


@services.command()
@_HOST
@_BINARY
@click.pass_context
def enable(ctx: click.Context, host: str, binary: str) -> None:
    """Let new containers go to a host again."""
    _change(ctx, "enable", {"host": host, "binary": binary})


@services.command()
@_HOST
@_BINARY
@click.option("--reason", help="Why, for the list.")
@click.pass_context
def disable(ctx: click.Context, host: str, binary: str, reason: str | None) -> None:
    """Keep new containers off a host; those that run there stay."""
    _change(ctx, "disable", {"host": host, "binary": binary, "disabled_reason": reason})


@services.command("force-down")
@_HOST
@_BINARY
@click.option("--undo", is_flag=True, help="Take that back.")
@click.pass_context
def force_down(ctx: click.Context, host: str, binary: str, *, undo: bool) -> None:
    """Declare a host dead without waiting for its silence."""
    _change(ctx, "force_down", {"host": host, "binary": binary, "forced_down": not undo})


@services.command()
@_HOST
@_BINARY
@click.pass_context
def rm(ctx: click.Context, host: str, binary: str) -> None:
    """Forget a host that will not come back."""
    client_of(ctx).send("DELETE", "/v1/services", query={"host": host, "binary": binary})
    click.echo(host)


def _change(ctx: click.Context, verb: str, query: Query) -> None:
    client_of(ctx).send("PUT", f"/v1/services/{verb}", query=query)
    click.echo(query["host"])
