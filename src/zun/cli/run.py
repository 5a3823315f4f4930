# SPDX-License-Identifier: Apache-2.0
"""`run` and `create`: make a container."""

from typing import Any

import click

from zun.cli import output as printing
from zun.cli import terminal
from zun.cli.client import Client
from zun.cli.container_options import creation_options, request_body
from zun.cli.containers import settled
from zun.cli.failures import NOT_FOUND, REFUSED, RUN_REFUSED, USAGE, Failure, command_failure
from zun.cli.invocation import client_of, output_option
from zun.cli.lifecycle import waiting_options
from zun.cli.progress import Progress
from zun.cli.watch import Container, wait_until

_WORDS = {"allow_interspersed_args": False}  # what follows IMAGE belongs to the command


@click.command(context_settings=_WORDS)
@click.option("-d", "--detach", is_flag=True, help="Leave it running and print its id.")
@creation_options
@waiting_options
@click.argument("image")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def run(ctx: click.Context, /, *, detach: bool, wait: bool, patience: float, **given: Any) -> int:
    """Make a container and run it.

    Without -d its output is shown as it comes (standard error to standard error) and zunctl ends with its exit code; Ctrl-C is
    passed on, the second one kills. -it gives it our terminal; ctrl-p ctrl-q leaves it running. --rm removes it afterwards.
    """
    body = _body(given)
    interactive, tty = bool(body.get("interactive")), bool(body.get("tty"))
    if interactive and tty and not detach and not terminal.is_terminal():
        raise Failure("-t needs a terminal, and input or output is none; leave -t away.", USAGE)
    client = client_of(ctx)
    if detach:
        made = make(client, body, run=True)
        if wait:
            started(client, made, patience)
        click.echo(made["uuid"])
        return 0
    from zun.cli import foreground  # noqa: PLC0415 - brings WebSockets, which -d does not need

    # The service would remove it before its output and its exit code are read, so this process does it at the end.
    remove = bool(body.pop("auto_remove", False))
    if interactive:
        body["stdin_once"] = not tty  # `producer | zunctl run -i …`: the end of our input is the end of its input
        return foreground.converse(client, make(client, body, run=False), remove=remove, tty=tty, patience=patience)
    return foreground.follow_output(client, make(client, body, run=True), remove=remove)


@click.command(context_settings=_WORDS)
@creation_options
@waiting_options
@output_option
@click.argument("image")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def create(ctx: click.Context, /, *, wait: bool, patience: float, output: str, **given: Any) -> None:
    """Make a container without starting it; prints its id."""
    client = client_of(ctx)
    made = make(client, _body(given), run=False)
    if wait:
        made = started(client, made, patience) or made
    if not printing.show(made, output):
        click.echo(made["uuid"])


def _body(given: dict[str, Any]) -> dict[str, Any]:
    body = {"image": given["image"]} | request_body(given)
    return body | {"command": list(given["command"])} if given["command"] else body


def make(client: Client, body: dict[str, Any], *, run: bool) -> Container:
    """Ask for the container. Refusals end with 125, as people know it from Docker."""
    try:
        made: Container = client.request("POST", "/v1/containers", query={"run": run}, body=body)
    except Failure as failure:
        if failure.exit_code in (REFUSED, NOT_FOUND):
            raise Failure(failure.message, RUN_REFUSED, status=failure.status) from failure
        raise
    return made


def started(client: Client, made: Container, patience: float | None) -> Container | None:
    """Wait until it was made (and started); None: it ended and was removed already. Raises `Failure` when that failed."""
    progress = Progress()
    try:
        container = wait_until(client, made["uuid"], settled, seconds=patience, seen=progress)
    finally:
        progress.clear()
    if container is not None and container["status"] == "Error":
        raise command_failure(
            f"{container['name']}: {container.get('status_reason') or 'it could not be started.'}",
            container.get("exit_code"),
        )
    return container
