# SPDX-License-Identifier: Apache-2.0
"""`top` and `stats`: what containers do and use at the moment."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from zun.cli import output as printing
from zun.cli.client import Client, container_path
from zun.cli.containers import find
from zun.cli.failures import NOT_FOUND, REFUSED, Failure
from zun.cli.invocation import ContainerName, client_of, container_argument, output_option
from zun.cli.words import mebibytes, size

_AT_ONCE = 8
_REFRESH_SECONDS = 1.0
_HEADINGS = ("NAME", "CPU %", "MEMORY", "LIMIT", "MEM %", "NETWORK IN/OUT", "DISK READ/WRITTEN")


@click.command(context_settings={"ignore_unknown_options": True})
@container_argument
@click.argument("ps_arguments", nargs=-1, type=click.UNPROCESSED)
@output_option
@click.pass_context
def top(ctx: click.Context, container: str, ps_arguments: tuple[str, ...], output: str) -> None:
    """Show a container's processes; what follows the container goes to ps."""
    client = client_of(ctx)
    query = {"ps_args": " ".join(ps_arguments) or None}
    found = client.get(container_path(find(client, container)["uuid"], "top"), query)
    if not printing.show(found, output):
        printing.table(found["Titles"], found["Processes"])


@click.command()
@click.argument("containers", type=ContainerName(), metavar="[CONTAINER...]", nargs=-1)
@click.option("--no-stream", is_flag=True, help="Once only; on a terminal the table is otherwise kept up to date.")
@output_option
@click.pass_context
def stats(ctx: click.Context, containers: tuple[str, ...], output: str, *, no_stream: bool) -> None:
    """Show what containers use; all that run when none is named."""
    client = client_of(ctx)
    if no_stream or output != "table" or not printing.on_terminal():
        found = _sample(client, containers)
        if not printing.show(found, output):
            printing.table(_HEADINGS, _rows(found))
        return
    from rich.console import Console  # noqa: PLC0415 - only for the live table
    from rich.live import Live  # noqa: PLC0415

    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            found = _sample(client, containers)
            live.update(printing.drawn(_HEADINGS, _rows(found)), refresh=True)
            time.sleep(_REFRESH_SECONDS)  # only how often the table changes; Ctrl-C ends it


def _sample(client: Client, idents: tuple[str, ...]) -> list[dict[str, Any]]:
    if idents:
        named = [find(client, ident)["uuid"] for ident in idents]
    else:
        named = [item["uuid"] for item in client.items("/v1/containers", "containers", {"status": "Running"})]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        figures = pool.map(lambda uuid: _one(client, uuid, missing_is_fine=not idents), named)
        return [figure for figure in figures if figure is not None]


def _one(client: Client, uuid: str, *, missing_is_fine: bool) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.get(container_path(uuid, "stats"))
    except Failure as failure:
        if missing_is_fine and failure.exit_code in (REFUSED, NOT_FOUND):
            return None  # it ended between the list and the question
        raise
    return found


def _rows(found: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [
            item["CONTAINER"],
            f"{item['CPU %']:.1f}",
            mebibytes(item["MEM USAGE(MiB)"]),
            mebibytes(item["MEM LIMIT(MiB)"]),
            f"{item['MEM %']:.1f}",
            _both(item["NET I/O(B)"]),
            _both(item["BLOCK I/O(B)"]),
        ]
        for item in found
    ]


def _both(written: str) -> str:
    return " / ".join(size(float(part)) if part.strip().isdigit() else part for part in written.split("/"))
