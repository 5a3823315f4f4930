# SPDX-License-Identifier: Apache-2.0
"""`wait`: until containers end."""

import click

from zun.cli.containers import ended, find
from zun.cli.failures import REFUSED, Failure
from zun.cli.invocation import Several, client_of, containers_argument
from zun.cli.watch import wait_until


@click.command()
@containers_argument
@click.option("--timeout", "patience", type=click.FloatRange(0.1), metavar="SECONDS", help="How long to wait at most.")
@click.pass_context
def wait(ctx: click.Context, containers: tuple[str, ...], patience: float | None) -> int:
    """Wait until containers end; prints their exit codes. With one container zunctl ends with it."""
    client, several, last = client_of(ctx), Several(), 0
    for ident in containers:
        with several.one(ident):
            container = wait_until(client, find(client, ident)["uuid"], ended, seconds=patience)
            if container is None:
                raise Failure("it was removed while it was waited for.", REFUSED)
            if container.get("exit_code") is None:
                raise Failure(container.get("status_reason") or "it ended, but how is not known.", REFUSED)
            last = int(container["exit_code"])
            click.echo(last)
    return several.exit_code or (last if len(containers) == 1 else 0)
