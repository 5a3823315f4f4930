# SPDX-License-Identifier: Apache-2.0
"""`logs`: a container's output, standard output to ours and standard error to ours, byte for byte."""

import re
import sys
import time
from collections.abc import Iterator
from datetime import datetime

import click

from zun.cli.client import Client, Query, container_path
from zun.cli.containers import find
from zun.cli.failures import Lost
from zun.cli.invocation import client_of, container_argument

STDERR = 2
_HEADER_BYTES = 5
_AGO = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command()
@container_argument
@click.option("-f", "--follow", is_flag=True, help="Go on until the container ends.")
@click.option("-n", "--tail", metavar="N|all", default="all", show_default=True, help="The last N lines only.")
@click.option(
    "--since", metavar="TIME", help="From a time on: 2026-01-31T10:00:00, seconds since the epoch, or 10m ago."
)
@click.option("-t", "--timestamps", is_flag=True, help="Show when each line was written.")
@click.option("--stdout", "only", flag_value="stdout", help="Standard output only.")
@click.option("--stderr", "only", flag_value="stderr", help="Standard error only.")
@click.pass_context
def logs(
    ctx: click.Context,
    container: str,
    *,
    follow: bool,
    tail: str,
    since: str | None,
    timestamps: bool,
    only: str | None,
) -> None:
    """Show a container's output."""
    if tail != "all" and not tail.isdigit():
        raise click.UsageError(f"--tail takes a number or all, not {tail!r}.")
    client = client_of(ctx)
    query: Query = {
        "follow": follow,
        "tail": tail,
        "since": None if since is None else since_seconds(since),
        "timestamps": timestamps,
        "stdout": only != "stderr",
        "stderr": only != "stdout",
    }
    for channel, data in log_frames(client, find(client, container)["uuid"], query):
        write_frame(channel, data)


def since_seconds(text: str, now: float | None = None) -> str:
    """Seconds since the epoch for what a person gives as a time. Raises `click.UsageError`."""
    ago = _AGO.fullmatch(text)
    if ago:
        return str((time.time() if now is None else now) - int(ago[1]) * _SECONDS[ago[2]])
    try:
        return str(float(text))
    except ValueError:
        pass
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f"--since: {text!r} is no time; write 10m, 2026-01-31T10:00:00 or seconds.") from error
    return str(instant.timestamp())  # without a zone: local time


def log_frames(client: Client, uuid: str, query: Query) -> Iterator[tuple[int, bytes]]:
    """Pieces of the log with their channel (1 or 2), as they come."""
    path = container_path(uuid, "logs", "stream")
    with client.stream("GET", path, query={**query, "multiplexed": True}) as reply:
        yield from frames(reply.iter_bytes())


def frames(pieces: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """One byte channel, four bytes length, data. Raises `Lost` when the stream ends within a frame."""
    kept = bytearray()
    for piece in pieces:
        kept += piece
        while len(kept) >= _HEADER_BYTES:
            end = _HEADER_BYTES + int.from_bytes(kept[1:_HEADER_BYTES], "big")
            if len(kept) < end:
                break
            yield kept[0], bytes(kept[_HEADER_BYTES:end])
            del kept[:end]
    if kept:
        raise Lost("The log broke off in the middle of a piece; ask for it again.")


def write_frame(channel: int, data: bytes) -> None:
    """To our own standard output or error, at once."""
    stream = sys.stderr.buffer if channel == STDERR else sys.stdout.buffer
    stream.write(data)
    stream.flush()
