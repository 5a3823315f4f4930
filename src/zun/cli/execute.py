# SPDX-License-Identifier: Apache-2.0
"""`exec`: a command inside a container, with its input, output, terminal and exit code."""

from typing import Any

import click

from zun.cli import terminal
from zun.cli.client import Client, container_path
from zun.cli.console import Console
from zun.cli.containers import find
from zun.cli.conversation import Conversation
from zun.cli.failures import USAGE, Failure, command_failure
from zun.cli.invocation import client_of, container_argument
from zun.model.option_texts import pairs


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.option("-i", "--interactive", is_flag=True, help="Pass our standard input to the command.")
@click.option("-t", "--tty", is_flag=True, help="Give it a terminal (with -i: ours).")
@click.option("-e", "--env", "environment", multiple=True, metavar="KEY=VALUE", help="An environment variable.")
@click.option("-w", "--workdir", metavar="PATH", help="Where to run it.")
@click.option("-d", "--detach", is_flag=True, help="Start it and leave it alone.")
@container_argument
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def execute(
    ctx: click.Context,
    container: str,
    command: tuple[str, ...],
    environment: tuple[str, ...],
    workdir: str | None,
    *,
    interactive: bool,
    tty: bool,
    detach: bool,
) -> int:
    """Run a command in a running container; ends with its exit code."""
    ours = tty and interactive and not detach
    if ours and not terminal.is_terminal():
        raise Failure("-t needs a terminal, and input or output is none; leave -t away.", USAGE)
    try:
        variables = pairs(list(environment))
    except ValueError as error:
        raise click.UsageError(f"-e: {error}") from error
    client = client_of(ctx)
    found = find(client, container)
    body: dict[str, Any] = {
        "command": list(command),
        "run": False,
        "interactive": interactive and not detach,
        "tty": tty,
        "environment": variables,
    }
    if workdir:
        body["workdir"] = workdir
    return converse_with_command(client, found["uuid"], body, ours=ours, stdin=interactive, detach=detach)


def converse_with_command(
    client: Client, uuid: str, body: dict[str, Any], *, ours: bool, stdin: bool, detach: bool
) -> int:
    """Run a prepared command over its console; returns its exit code. Raises `Failure`."""
    prepared = client.request("POST", container_path(uuid, "execute"), body=body)
    console = Console(prepared["proxy_url"], verify=client.access.verify)
    if detach:
        console.close()
        return 0
    conversation = Conversation(console, tty=ours, stdin=stdin)
    conversation.tell_size()
    ending = conversation.talk()
    if conversation.detached:
        return 0
    if ending is None:
        raise Failure("The console broke before the command ended; it may still run.")
    if ending.exit_code is None or ending.reason:
        raise command_failure(ending.reason or "The command ended, but nobody knows how.", ending.exit_code)
    return ending.exit_code
