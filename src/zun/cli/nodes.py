# SPDX-License-Identifier: Apache-2.0
"""`node`: the machines that run containers, and emptying them; for administrators."""

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from zun.cli import output as printing
from zun.cli.client import Client, Query
from zun.cli.failures import REFUSED, Failure
from zun.cli.invocation import client_of, output_option
from zun.cli.node_token import token
from zun.cli.services import BINARY
from zun.cli.words import age, mebibytes

_NODE = click.argument("node")
_LOOK_SECONDS = 1.0


@click.group()
def node() -> None:
    """Machines that run containers; for administrators."""


node.add_command(token)


@node.command("list")
@output_option
@click.pass_context
def list_(ctx: click.Context, output: str) -> None:
    """List them."""
    found = client_of(ctx).get("/v1/nodes")
    if printing.show(found, output):
        return
    now = datetime.now(UTC)
    rows = [
        [
            item["name"], _state(item), _takes_new(item), item["containers"], _share(item, "cpu"), _memory(item),
            item["engine"], item["availability_zone"], age(item["last_report_at"], now),
        ]
        for item in found["nodes"]
    ]  # fmt: skip
    printing.table(
        ["NODE", "STATE", "NEW CONTAINERS", "CONTAINERS", "CPU", "MEMORY", "ENGINE", "ZONE", "REPORTED"], rows
    )
    if found["held_back"]:
        printing.note(
            f"{found['gone']} of {found['counted']} nodes are gone: nothing is moved. It goes on when some return; "
            "`zunctl node force-down NODE` says that one of them will not."
        )


@node.command()
@_NODE
@output_option
@click.pass_context
def show(ctx: click.Context, node: str, output: str) -> None:
    """Show a node, which of its containers would leave it and which would stay."""
    found = _look(client_of(ctx), node)
    if printing.show(found, output):
        return
    now = datetime.now(UTC)
    printing.details(
        {
            "name": found["name"],
            "state": _state(found),
            "lost": age(found["lost_at"], now),
            "reported": age(found["last_report_at"], now),
            "new containers": _takes_new(found),
            "reason": found["disabled_reason"],
            "zone": found["availability_zone"],
            "engine": found["engine"],
            "cpu": _share(found, "cpu"),
            "memory": _memory(found),
            "containers": found["containers"],
        }
    )
    rows = [[one["name"], one["uuid"], "leaves", one["reason"]] for one in found["movable"]]
    rows += [[one["name"], one["uuid"], "stays", one["reason"]] for one in found["staying"]]
    if rows:
        print()
        printing.table(["CONTAINER", "UUID", "WHEN IT IS DRAINED OR LOST", "WHY"], rows)


@node.command()
@_NODE
@click.option("--wait", is_flag=True, help="Until everything that can leave has left.")
@click.option("--timeout", type=float, metavar="SECONDS", help="With --wait: no longer than this.")
@click.pass_context
def drain(ctx: click.Context, node: str, *, wait: bool, timeout: float | None) -> None:
    """Empty a node: nothing new comes, containers with auto_heal are made on other nodes. The others stay and are listed."""
    client = client_of(ctx)
    found = client.request("POST", _path(node, "drain"))
    if wait:
        found = _until_drained(client, node, timeout)
    for one in found["staying"]:
        printing.note(f"{one['name']} ({one['uuid']}) stays: {one['reason']}")
    if found["drained"]:
        click.echo(f"{node}: drained, {len(found['staying'])} stay")
    else:
        click.echo(f"{node}: {len(found['movable'])} are to leave, {len(found['staying'])} stay")


@node.command()
@_NODE
@click.pass_context
def undrain(ctx: click.Context, node: str) -> None:
    """Let containers come to a node again."""
    client_of(ctx).send("POST", _path(node, "undrain"))
    click.echo(node)


@node.command()
@_NODE
@click.pass_context
def enable(ctx: click.Context, node: str) -> None:
    """Let new containers come to a node again."""
    _switch(ctx, "enable", {"host": node, "binary": BINARY})


@node.command()
@_NODE
@click.option("--reason", help="Why, for the list.")
@click.pass_context
def disable(ctx: click.Context, node: str, reason: str | None) -> None:
    """Keep new containers off a node; those that run there stay."""
    _switch(ctx, "disable", {"host": node, "binary": BINARY, "disabled_reason": reason})


@node.command("force-down")
@_NODE
@click.option("--undo", is_flag=True, help="Take that back.")
@click.pass_context
def force_down(ctx: click.Context, node: str, *, undo: bool) -> None:
    """Declare a node down, whatever it says: containers with auto_heal leave it, and it is not counted among the others."""
    _switch(ctx, "force_down", {"host": node, "binary": BINARY, "forced_down": not undo})


@node.command()
@_NODE
@click.pass_context
def remove(ctx: click.Context, node: str) -> None:
    """Forget a node that will not come back; nothing may be placed on it any more."""
    client_of(ctx).send("DELETE", "/v1/services", query={"host": node, "binary": BINARY})
    click.echo(node)


def _until_drained(client: Client, node: str, timeout: float | None) -> dict[str, Any]:
    end = None if timeout is None else time.monotonic() + timeout
    told = ""
    while True:
        found = _look(client, node)
        if found["drained"] or not found["draining"]:
            return found
        progress = _progress(found)
        if progress != told:
            printing.note(f"{node}: {progress}")
            told = progress
        if end is not None and time.monotonic() >= end:
            raise Failure(
                f"Node {node} is not empty after {timeout:g} seconds: {progress}. It goes on; ask again, or `zunctl node undrain {node}`.",
                REFUSED,
            )
        time.sleep(_LOOK_SECONDS)  # nothing tells when a node is empty; Ctrl-C ends the wait, not the draining


def _progress(found: dict[str, Any]) -> str:
    stuck = [one for one in found["movable"] if one["reason"]]
    text = f"{len(found['movable'])} are to leave"
    return f"{text}, {len(stuck)} of them can be on no other node: {stuck[0]['reason']}" if stuck else text


def _look(client: Client, node: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(_path(node))
    return found


def _switch(ctx: click.Context, verb: str, query: Query) -> None:
    client_of(ctx).send("PUT", f"/v1/services/{verb}", query=query)
    click.echo(query["host"])


def _path(node: str, verb: str = "") -> str:
    return f"/v1/nodes/{quote(node, safe='')}{'/' + verb if verb else ''}"


def _state(item: dict[str, Any]) -> str:
    return "draining" if item["draining"] and item["state"] == "up" else str(item["state"])


def _takes_new(item: dict[str, Any]) -> str:
    if item["draining"]:
        return "no: drained"
    if not item["enabled"]:
        return f"no: {item['disabled_reason'] or 'disabled'}"
    return "yes" if item["state"] in {"up", "restarting"} else f"no: {item['state']}"


def _share(item: dict[str, Any], what: str) -> str:
    total = item[f"{what}_total"]
    return f"{item[f'{what}_used']:g} of {total:g}" if total is not None else "-"


def _memory(item: dict[str, Any]) -> str:
    total = item["memory_total"]
    return f"{mebibytes(item['memory_used'])} of {mebibytes(total)}" if total is not None else "-"
