# SPDX-License-Identifier: Apache-2.0
"""start, stop, restart, kill, pause, unpause, rm: one verb on one or more containers, waited for unless told otherwise."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from zun.cli.client import Client, Query, container_path
from zun.cli.containers import act, find, finish
from zun.cli.failures import REFUSED, Failure
from zun.cli.invocation import Several, client_of, containers_argument
from zun.cli.watch import Container, wait_until

F = TypeVar("F", bound=Callable[..., Any])
PATIENCE_SECONDS = 300.0


def waiting_options(function: F) -> F:
    """`--wait/--no-wait`, which waits by default, and `--timeout`."""
    wait = click.option("--wait/--no-wait", default=True, help="Wait until it is done (default), or only ask for it.")
    return wait(timeout_option(function))


def asking_options(function: F) -> F:
    """The same, and it only asks by default."""
    wait = click.option("--wait/--no-wait", default=False, help="Wait until it is done, or only ask for it (default).")
    return wait(timeout_option(function))


def timeout_option(function: F) -> F:
    """`--timeout`."""
    timeout = click.option(
        "--timeout",
        "patience",
        type=click.FloatRange(0.1),
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help=f"How long to wait at most (default {PATIENCE_SECONDS:g}).",
    )
    return timeout(function)


def each(
    client: Client, idents: tuple[str, ...], verb: str, query: Query | None, *, wait: bool, patience: float
) -> int:
    """Ask for the verb on all, then wait for all; prints the name of each that succeeded."""
    several = Several()
    asked: list[tuple[Container, str]] = []
    for ident in idents:
        with several.one(ident):
            container = find(client, ident)
            asked.append((container, act(client, container, verb, query)))
    for container, request_id in asked:
        with several.one(container["name"]):
            if wait:
                finish(client, container, request_id, patience)
            click.echo(container["name"])
    return several.exit_code


@click.command()
@containers_argument
@waiting_options
@click.pass_context
def start(ctx: click.Context, containers: tuple[str, ...], *, wait: bool, patience: float) -> int:
    """Start containers."""
    return each(client_of(ctx), containers, "start", None, wait=wait, patience=patience)


_GRACE = click.option(
    "-t",
    "--time",
    "grace",
    type=click.IntRange(0),
    metavar="SECONDS",
    help="How long it may take to end before it is killed (default 10).",
)


@click.command()
@containers_argument
@_GRACE
@waiting_options
@click.pass_context
def stop(ctx: click.Context, containers: tuple[str, ...], grace: int | None, *, wait: bool, patience: float) -> int:
    """Stop containers: SIGTERM, then SIGKILL."""
    return each(client_of(ctx), containers, "stop", {"timeout": grace}, wait=wait, patience=patience + (grace or 0))


@click.command()
@containers_argument
@_GRACE
@waiting_options
@click.pass_context
def restart(ctx: click.Context, containers: tuple[str, ...], grace: int | None, *, wait: bool, patience: float) -> int:
    """Stop and start containers."""
    return each(client_of(ctx), containers, "reboot", {"timeout": grace}, wait=wait, patience=patience + (grace or 0))


@click.command()
@containers_argument
@click.option("-s", "--signal", default="KILL", show_default=True, help="A name such as HUP, or a number.")
@waiting_options
@click.pass_context
def kill(ctx: click.Context, containers: tuple[str, ...], signal: str, *, wait: bool, patience: float) -> int:
    """Send a signal to the main process of containers."""
    return each(client_of(ctx), containers, "kill", {"signal": signal}, wait=wait, patience=patience)


@click.command()
@containers_argument
@waiting_options
@click.pass_context
def pause(ctx: click.Context, containers: tuple[str, ...], *, wait: bool, patience: float) -> int:
    """Freeze all processes of containers."""
    return each(client_of(ctx), containers, "pause", None, wait=wait, patience=patience)


@click.command()
@containers_argument
@waiting_options
@click.pass_context
def unpause(ctx: click.Context, containers: tuple[str, ...], *, wait: bool, patience: float) -> int:
    """Let frozen containers run on."""
    return each(client_of(ctx), containers, "unpause", None, wait=wait, patience=patience)


@click.command()
@containers_argument
@click.option("-s", "--stop", "stop_first", is_flag=True, help="Stop it first if it runs (10 seconds' grace).")
@click.option(
    "-f",
    "--force",
    is_flag=True,
    help="Running ones too, killed at once. Administrators remove containers in any state but Paused so.",
)
@waiting_options
@click.pass_context
def rm(
    ctx: click.Context, containers: tuple[str, ...], *, stop_first: bool, force: bool, wait: bool, patience: float
) -> int:
    """Remove containers. One that runs needs --stop or --force."""
    client, several = client_of(ctx), Several()
    asked: list[Container] = []
    for ident in containers:
        with several.one(ident):
            container = find(client, ident)
            remove(client, container, stop_first=stop_first, force=force)
            asked.append(container)
    for container in asked:
        with several.one(container["name"]):
            if wait:
                gone(client, container, patience)
            click.echo(container["name"])
    return several.exit_code


def remove(client: Client, container: Container, *, stop_first: bool = False, force: bool = False) -> None:
    """Ask for the removal. Raises `Failure`."""
    path = container_path(container["uuid"])
    try:
        client.send("DELETE", path, query={"force": force or None, "stop": (stop_first and not force) or None})
    except Failure as failure:
        if force and failure.status == 403:
            # Only administrators may force; a running container of one's own is killed and then removed instead.
            if container["status"] == "Running":
                finish(client, container, act(client, container, "kill", {"signal": "KILL"}), PATIENCE_SECONDS)
            client.send("DELETE", path, query={"stop": True})
        elif failure.status == 409 and not (force or stop_first) and container["status"] == "Running":
            raise Failure(
                f"{container['name']} runs; add --stop, or --force to kill it.", REFUSED, status=failure.status
            ) from failure
        else:
            raise


def gone(client: Client, container: Container, seconds: float | None) -> None:
    """Wait until a container that is being removed is gone. Raises `Failure` when that fails."""

    def done(now: Container | None) -> bool:
        return now is None or now["status"] not in ("Deleting", "Deleted")

    last = wait_until(client, container["uuid"], done, seconds=seconds)
    if last is not None:
        raise Failure(f"{container['name']} was not removed: {last.get('status_reason') or last['status']}")
