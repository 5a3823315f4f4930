# SPDX-License-Identifier: Apache-2.0
"""`capsule`: groups of containers that share an address and live together."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from zun.cli import output as printing
from zun.cli.client import Client, Query
from zun.cli.execute import converse_with_command
from zun.cli.failures import NOT_FOUND, REFUSED, USAGE, Failure
from zun.cli.invocation import Several, client_of, output_option
from zun.cli.lifecycle import asking_options
from zun.cli.logs import log_frames, since_seconds, write_frame
from zun.cli.ports import on_one_line
from zun.cli.terminal import is_terminal
from zun.cli.words import age, mebibytes

_LOOK_SECONDS = (0.1, 1.0)
"""How long to wait before the second look, and between looks at most."""

_PENDING = frozenset({"Creating", "Restarting", "Unknown"})


@click.group()
def capsule() -> None:
    """Groups of containers that share an address and live together."""


def _one(function: Any) -> Any:
    return click.argument("name", metavar="CAPSULE")(function)


def _which(function: Any) -> Any:
    return click.option(
        "-c", "--container", metavar="NAME", help="Which of its containers, by name or uuid; the first when absent."
    )(function)


@capsule.command()
@click.option(
    "-f", "--file", type=click.File("r"), required=True, help="The template, YAML or JSON; - is standard input."
)
@asking_options
@output_option
@click.pass_context
def create(ctx: click.Context, file: Any, output: str, *, wait: bool, patience: float) -> int:
    """Make a capsule from a template."""
    client = client_of(ctx)
    try:
        text = file.read()
    except UnicodeDecodeError as error:
        raise Failure(f"{file.name} is no text; a template is YAML or JSON.", USAGE) from error
    made = client.request("POST", "/v1/capsules", body={"template": text})
    if wait:
        found = _until(client, made["uuid"], lambda one: one["status"] not in _PENDING, patience)
        if found is None:
            raise Failure(f"{_called(made)} was deleted while it was waited for.", REFUSED)
        made = found
    if not printing.show(made, output):
        click.echo(made["uuid"])
    if wait and made["status"] == "Error":
        raise Failure(f"{_called(made)}: {made.get('status_reason') or 'it failed.'}", REFUSED)
    return 0


@capsule.command("list")
@click.option("--all-projects", is_flag=True, help="Everybody's; for administrators.")
@click.option("-q", "--quiet", is_flag=True, help="Ids only.")
@output_option
@click.pass_context
def list_(ctx: click.Context, output: str, *, all_projects: bool, quiet: bool) -> None:
    """List capsules."""
    query: Query = {"all_projects": True} if all_projects else {}
    found = client_of(ctx).items("/v1/capsules", "capsules", query)
    if quiet:
        for one in found:
            click.echo(one["uuid"])
        return
    if printing.show(found, output):
        return
    now = datetime.now(UTC)
    rows = [
        [
            one["uuid"],
            one["name"],
            one["status"],
            _addresses(one),
            len(one["containers"]),
            age(one["created_at"], now),
        ]
        for one in found
    ]
    printing.table(["UUID", "NAME", "STATUS", "ADDRESSES", "CONTAINERS", "CREATED"], rows)


@capsule.command()
@_one
@output_option
@click.pass_context
def show(ctx: click.Context, name: str, output: str) -> None:
    """Show a capsule and its containers."""
    found = _find(client_of(ctx), name)
    if printing.show(found, output):
        return
    plain = {key: value for key, value in found.items() if key not in ("containers", "init_containers", "links")}
    plain["addresses"], plain["published_ports"] = _addresses(found), on_one_line(found)
    plain["memory"] = mebibytes(float(found["memory"])) if found.get("memory") not in (None, "0") else None
    printing.details(plain)
    click.echo()
    rows = [
        [
            one["given_name"] or one["name"],
            kind,
            one["image"],
            f"{one['status']} [{one['health']}]" if one.get("health") else one["status"],
            one["restarts"],
            one["exit_code"],
            one["uuid"],
        ]
        for kind in ("init", "app")
        for one in found["init_containers" if kind == "init" else "containers"]
    ]
    printing.table(["CONTAINER", "KIND", "IMAGE", "STATUS", "RESTARTS", "EXIT", "UUID"], rows)


@capsule.command()
@click.argument("names", metavar="CAPSULE...", nargs=-1, required=True)
@click.option("-f", "--force", is_flag=True, help="Kill what runs at once, without any grace.")
@asking_options
@click.pass_context
def delete(ctx: click.Context, names: tuple[str, ...], *, force: bool, wait: bool, patience: float) -> int:
    """Delete capsules with their containers."""
    client, several = client_of(ctx), Several()
    query: Query = {"force": True} if force else {}
    for name in names:
        with several.one(name):
            uuid = _find(client, name)["uuid"]
            client.send("DELETE", _path(uuid), query=query)
            if wait:
                _until(client, uuid, lambda _: False, patience)
            click.echo(name)
    return several.exit_code


@capsule.command()
@_one
@_which
@click.option("-f", "--follow", is_flag=True, help="Go on until the container ends.")
@click.option("-n", "--tail", metavar="N|all", default="all", show_default=True, help="The last N lines only.")
@click.option("--since", metavar="TIME", help="From a time on, as in `zunctl logs`.")
@click.option("-t", "--timestamps", is_flag=True, help="Show when each line was written.")
@click.pass_context
def logs(
    ctx: click.Context,
    name: str,
    container: str | None,
    tail: str,
    since: str | None,
    *,
    follow: bool,
    timestamps: bool,
) -> None:
    """Show the output of one of its containers."""
    client = client_of(ctx)
    query: Query = {
        "follow": follow,
        "tail": tail,
        "since": None if since is None else since_seconds(since),
        "timestamps": timestamps,
    }
    for channel, data in log_frames(client, _container(_find(client, name), container)["uuid"], query):
        write_frame(channel, data)


@capsule.command("exec", context_settings={"allow_interspersed_args": False})
@click.option("-i", "--interactive", is_flag=True, help="Pass our standard input to the command.")
@click.option("-t", "--tty", is_flag=True, help="Give it a terminal (with -i: ours).")
@_which
@_one
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def execute(
    ctx: click.Context, name: str, container: str | None, command: tuple[str, ...], *, interactive: bool, tty: bool
) -> int:
    """Run a command in one of its containers; ends with its exit code."""
    ours = tty and interactive
    if ours and not is_terminal():
        raise Failure("-t needs a terminal, and input or output is none; leave -t away.", USAGE)
    client = client_of(ctx)
    body: dict[str, Any] = {"command": list(command), "run": False, "interactive": interactive, "tty": tty}
    uuid = _container(_find(client, name), container)["uuid"]
    return converse_with_command(client, uuid, body, ours=ours, stdin=interactive, detach=False)


def _path(ident: str) -> str:
    return f"/v1/capsules/{quote(ident, safe='')}"


def _find(client: Client, ident: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(_path(ident))
    return found


def _container(found: dict[str, Any], wanted: str | None) -> dict[str, Any]:
    """One of its containers. Raises `Failure`, naming them, when there is none of that name."""
    known: list[dict[str, Any]] = [*found["containers"], *found["init_containers"]]
    if wanted is None:
        return known[0]
    for one in known:
        if wanted in (one["uuid"], one["name"], one["given_name"]):
            return one
    names = ", ".join(one["given_name"] or one["name"] for one in known)
    raise Failure(f"{_called(found)} has no container {wanted}; it has: {names}.", NOT_FOUND)


def _until(client: Client, uuid: str, done: Callable[[dict[str, Any]], bool], patience: float) -> dict[str, Any] | None:
    """Look until it is so; None: it is gone. Raises `Failure` when it takes too long."""
    end = time.monotonic() + patience
    pause, longest = _LOOK_SECONDS
    while True:
        try:
            found = _find(client, uuid)
        except Failure as failure:
            if failure.exit_code == NOT_FOUND:
                return None
            raise
        if done(found):
            return found
        if time.monotonic() >= end:
            raise Failure(
                f"{_called(found)} is still {found['status']} after {patience:g} seconds; it goes on.", REFUSED
            )
        time.sleep(pause)
        pause = min(2 * pause, longest)


def _called(found: dict[str, Any]) -> str:
    return str(found.get("name") or found["uuid"])


def _addresses(found: dict[str, Any]) -> list[str]:
    return [one["addr"] for there in (found.get("addresses") or {}).values() for one in there]
