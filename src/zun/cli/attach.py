# SPDX-License-Identifier: Apache-2.0
"""`attach`: our terminal, connected to the main process of a running container."""

import click

from zun.cli import terminal
from zun.cli.client import Client, container_path
from zun.cli.console import Console
from zun.cli.containers import ended, find
from zun.cli.conversation import Conversation
from zun.cli.failures import USAGE, Failure
from zun.cli.invocation import client_of, container_argument
from zun.cli.watch import wait_until

_KNOWN_SOON_SECONDS = 30.0


@click.command()
@container_argument
@click.option("--no-stdin", is_flag=True, help="Only look.")
@click.pass_context
def attach(ctx: click.Context, container: str, *, no_stdin: bool) -> int:
    """Connect to a container made with -i; ctrl-p ctrl-q leaves it running. Ends with its exit code."""
    client = client_of(ctx)
    found = find(client, container)
    tty = bool(found["tty"]) and not no_stdin
    if tty and not terminal.is_terminal():
        raise Failure(
            f"{found['name']} has a terminal, and our input or output is none; add --no-stdin to look.", USAGE
        )
    console = Console(client.get(container_path(found["uuid"], "attach")), verify=client.access.verify)
    conversation = Conversation(console, tty=tty, stdin=not no_stdin)
    conversation.tell_size()
    ending = conversation.talk()
    if conversation.detached:
        return 0
    if ending is not None and ending.exit_code is not None:
        return ending.exit_code
    return exit_code_of(client, found["uuid"])


def exit_code_of(client: Client, uuid: str) -> int:
    """The exit code of a container that is about to be seen as ended. Raises `Failure` when it runs on."""
    last = wait_until(client, uuid, ended, seconds=_KNOWN_SOON_SECONDS)
    if last is None or last.get("exit_code") is None:
        raise Failure(f"Container {uuid} ended, but how is not known.")
    return int(last["exit_code"])
