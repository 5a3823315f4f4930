# SPDX-License-Identifier: Apache-2.0
"""Our words into messages and back.

Messages of a node are checked here as they are read (`Nonsense`): it may be captured. A client's are the control plane's, and the services have
checked them; but text that has no place in a message is refused.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec
from google.protobuf.message import DecodeError, Message

from zun.drivers.runtime.types import Channel, Chunk, ExecRequest, LogQuery, PathStat, Stats, Top
from zun.model.errors import Invalid
from zun.nodestreams import messages_pb2 as pb
from zun.services.nodelive import NodeDescription

_MOST_NUMBER = 2**53
_LAST_YEAR = 253_402_300_799  # of a calendar that can show it
_EXEC_ID = re.compile(r"[0-9a-f]{64}")
_CHANNELS = {Channel.STDOUT: pb.STDOUT, Channel.STDERR: pb.STDERR}
_CHANNEL_NAMES = {number: channel for channel, number in _CHANNELS.items()}

M = TypeVar("M", bound=Message)


class Nonsense(Exception):
    """What no node of ours says."""


def parsed(kind: Callable[[bytes], M], data: bytes) -> M:
    """A message of a node. Raises `Nonsense`."""
    try:
        return kind(data)
    except DecodeError as error:
        raise Nonsense("a message that is none") from error


def packed(message: Callable[[], Message]) -> bytes:
    """A request. Raises `Invalid` when it holds text that cannot be sent."""
    try:
        return message().SerializeToString()
    except ValueError as error:  # half of a character, or a number that is too large
        raise Invalid("The request holds text or numbers that cannot be sent to a node; change them.") from error


def text(value: str) -> str:
    """Text as it can be sent: an engine may give halves of characters."""
    return value.encode("utf-8", "replace").decode("utf-8")


# Logs


def logs_request(uuid: str, query: LogQuery) -> pb.LogsRequest:
    """A question for a log."""
    return pb.LogsRequest(
        container=uuid,
        stdout=query.stdout,
        stderr=query.stderr,
        timestamps=query.timestamps,
        tail=query.tail,
        since=query.since,
        follow=query.follow,
    )


def log_query(request: pb.LogsRequest) -> LogQuery:
    """The question again."""
    return LogQuery(
        stdout=request.stdout,
        stderr=request.stderr,
        timestamps=request.timestamps,
        tail=request.tail if request.HasField("tail") else None,
        since=request.since if request.HasField("since") else None,
        follow=request.follow,
    )


def output_message(pieces: Iterable[Chunk]) -> pb.Output:
    """Pieces of output."""
    return pb.Output(chunks=[pb.Chunk(channel=_CHANNELS[piece.channel], data=piece.data) for piece in pieces])


def chunks(output: pb.Output) -> Iterator[Chunk]:
    """The pieces of a message. Raises `Nonsense`."""
    for chunk in output.chunks:
        channel = _CHANNEL_NAMES.get(chunk.channel)
        if channel is None:
            raise Nonsense("output on a channel that there is not")
        if chunk.data:
            yield Chunk(channel, chunk.data)


def exit_code(exit_: pb.Exit) -> int | None:
    """How a process ended."""
    return exit_.code if exit_.HasField("code") else None


# Commands


def exec_request_message(uuid: str, request: ExecRequest) -> pb.ExecCreateRequest:
    """A command."""
    return pb.ExecCreateRequest(
        container=uuid,
        argv=request.argv,
        tty=request.tty,
        stdin=request.stdin,
        environment=request.environment,
        workdir=request.workdir,
    )


def exec_request(message: pb.ExecCreateRequest) -> ExecRequest:
    """The command again."""
    return ExecRequest(
        argv=list(message.argv),
        tty=message.tty,
        stdin=message.stdin,
        environment=dict(message.environment),
        workdir=message.workdir if message.HasField("workdir") else None,
    )


def exec_id(message: pb.ExecCreated) -> str:
    """A command's id. Raises `Nonsense`."""
    if not _EXEC_ID.fullmatch(message.exec_id):
        raise Nonsense("an exec id that is none")
    return message.exec_id


# Archives


def path_stat_message(stat: PathStat) -> pb.PathStat:
    """What lies at a path."""
    return pb.PathStat(
        name=text(stat.name), size=stat.size, mode=stat.mode, mtime=text(stat.mtime), link_target=text(stat.link_target)
    )


def path_stat(message: pb.PathStat) -> PathStat:
    """The same again. Raises `Nonsense`."""
    return PathStat(
        message.name, _number(message.size), _number(message.mode), message.mtime, link_target=message.link_target
    )


# Figures


def top_message(top: Top) -> pb.TopTable:
    """A process table."""
    rows = [pb.Row(cells=map(text, process)) for process in top.processes]
    return pb.TopTable(titles=map(text, top.titles), processes=rows)


def top(message: pb.TopTable) -> Top:
    """The table again."""
    return Top(list(message.titles), [list(row.cells) for row in message.processes])


def stats_message(stats: Stats) -> pb.StatsSample:
    """A sample."""
    return pb.StatsSample(**msgspec.structs.asdict(stats))


def stats(message: pb.StatsSample) -> Stats:
    """The sample again. Raises `Nonsense`."""
    if not math.isfinite(message.cpu_percent):
        raise Nonsense("a share of the cpu that is no number")
    return Stats(
        cpu_percent=message.cpu_percent,
        memory_bytes=_number(message.memory_bytes),
        memory_limit_bytes=_number(message.memory_limit_bytes),
        block_read_bytes=_number(message.block_read_bytes),
        block_write_bytes=_number(message.block_write_bytes),
        network_rx_bytes=_number(message.network_rx_bytes),
        network_tx_bytes=_number(message.network_tx_bytes),
    )


def found_images_message(found: list[dict[str, object]]) -> pb.SearchResult:
    """What a registry knows."""
    return pb.SearchResult(images=msgspec.json.encode(found))


def found_images(message: pb.SearchResult) -> list[dict[str, object]]:
    """The same again. Raises `Nonsense`."""
    try:
        return msgspec.json.decode(message.images, type=list[dict[str, object]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Nonsense("images that are none") from error


def description_message(described: NodeDescription) -> pb.Description:
    """What a node says of itself."""
    return pb.Description(
        node=described.node,
        at=described.at,
        version=described.version,
        boot_id=described.boot_id,
        started_at=described.started_at,
        engine=text(described.engine),
        engine_version=text(described.engine_version),
        engine_error=text(described.engine_error),
        certificate_expires_at=described.certificate_expires_at,
    )


def description(message: pb.Description) -> NodeDescription:
    """The same again. Raises `Nonsense`."""
    expires = message.certificate_expires_at if message.HasField("certificate_expires_at") else None
    return NodeDescription(
        node=message.node,
        at=_instant(message.at),
        version=message.version,
        boot_id=message.boot_id,
        started_at=_instant(message.started_at),
        engine=message.engine,
        engine_version=message.engine_version,
        engine_error=message.engine_error,
        certificate_expires_at=None if expires is None else _instant(expires),
    )


def _number(value: int) -> int:
    if abs(value) > _MOST_NUMBER:
        raise Nonsense("a number that nothing has")
    return value


def _instant(value: float) -> float:
    if not 0 <= value <= _LAST_YEAR:
        raise Nonsense("a time that no calendar shows")
    return value
