# SPDX-License-Identifier: Apache-2.0
"""Logs as a CRI engine writes them: taken apart, read from behind, while somebody writes."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zun.drivers.runtime.cri import log_files
from zun.drivers.runtime.cri.log_entries import Entries, stamp_of
from zun.drivers.runtime.cri.log_files import LogFile, open_file, open_files, skip_to_tail
from zun.drivers.runtime.types import Channel, LogQuery

BOTH = frozenset({b"stdout", b"stderr"})


def told(log: bytes, query: LogQuery | None = None, *, tty: bool = False, step: int = 7) -> dict[Channel, bytes]:
    """What a log says, fed in small pieces."""
    entries = Entries(query or LogQuery(), tty=tty)
    said = {Channel.STDOUT: b"", Channel.STDERR: b""}
    for start in range(0, len(log), step):
        for chunk in entries.feed(log[start : start + step]):
            said[chunk.channel] += chunk.data
    return said


LOG = (
    b"2026-01-02T03:04:05.1Z stdout F one\n"
    b"2026-01-02T04:04:06.25+01:00 stderr F oops\n"
    b"2026-01-02T03:04:07Z stdout P two \n"
    b"2026-01-02T03:04:08.000000009Z stdout P parts \n"
    b"2026-01-02T03:04:09Z stdout F joined\n"
    b"2026-01-02T03:04:10Z stdout P \x00\xff without end\n"
)


def test_parts_of_a_line_are_joined_and_bytes_stay_as_they_are() -> None:
    assert told(LOG) == {
        Channel.STDOUT: b"one\ntwo parts joined\n\x00\xff without end", Channel.STDERR: b"oops\n",
    }  # fmt: skip
    assert told(LOG, LogQuery(stdout=False)) == {Channel.STDOUT: b"", Channel.STDERR: b"oops\n"}


def test_a_terminals_lines_get_their_carriage_returns_back() -> None:
    assert told(b"2026-01-02T03:04:05Z stdout F one\n", tty=True)[Channel.STDOUT] == b"one\r\n"


def test_times_stand_once_before_each_line_in_utc() -> None:
    said = told(LOG, LogQuery(timestamps=True))
    assert said[Channel.STDERR] == b"2026-01-02T03:04:06.250000000Z oops\n"
    assert said[Channel.STDOUT].splitlines()[1] == b"2026-01-02T03:04:07.000000000Z two parts joined"


def test_since_compares_times_of_all_zones() -> None:
    # 2026-01-02T03:04:06.25Z
    said = told(LOG, LogQuery(since=1767323046.25))
    assert said[Channel.STDERR] == b"oops\n"
    assert said[Channel.STDOUT].startswith(b"two ")
    assert stamp_of(1767323046.25) == "2026-01-02T03:04:06.250000000Z"


def test_what_is_no_entry_is_left_out() -> None:
    assert (
        told(b"nonsense\n\n2026-01-02T03:04:05Z stdin F x\n2026-01-02T03:04:05Z stdout F y\n")[Channel.STDOUT] == b"y\n"
    )


entries_of_a_log = st.lists(
    st.tuples(st.sampled_from([b"stdout", b"stderr"]), st.booleans(), st.binary(max_size=12)), max_size=30
)


@settings(max_examples=50, deadline=None)
@given(entries_of_a_log, entries_of_a_log, st.integers(0, 8), st.sampled_from([BOTH, frozenset({b"stdout"})]))
def test_the_tail_is_what_reading_all_would_give(
    tmp_path_factory: pytest.TempPathFactory,
    older: list[tuple[bytes, bool, bytes]],
    newer: list[tuple[bytes, bool, bytes]],
    lines: int,
    channels: frozenset[bytes],
) -> None:
    directory = tmp_path_factory.mktemp("log")
    for name, entries in (("log.1", older), ("log", newer)):
        (directory / name).write_bytes(b"".join(_entry(*entry) for entry in entries))
    files = open_files(directory)
    block, log_files.BLOCK = log_files.BLOCK, 64  # so that lines straddle blocks
    try:
        skip_to_tail(files, lines, channels)
        found = b"".join(_rest(file) for file in files)
    finally:
        log_files.BLOCK = block
        for file in files:
            file.close()
    whole = [*older, *newer]
    assert found == b"".join(_entry(*entry) for entry in whole[_begin_of_tail(whole, lines, channels) :])


def _entry(channel: bytes, ends: bool, content: bytes) -> bytes:
    return b"2026-01-02T03:04:05Z %s %s %s\n" % (channel, b"F" if ends else b"P", content.replace(b"\n", b""))


def _begin_of_tail(entries: list[tuple[bytes, bool, bytes]], lines: int, channels: frozenset[bytes]) -> int:
    """Behind the end of the line before the last so many; an unfinished newest line is one of them."""
    wanted = [index for index, (channel, _, _) in enumerate(entries) if channel in channels]
    ends = [index for index in wanted if entries[index][1]]
    if wanted and not entries[wanted[-1]][1]:
        ends.append(wanted[-1])
    return ends[-lines - 1] + 1 if len(ends) > lines else 0


def _rest(file: LogFile) -> bytes:
    data = b""
    while piece := file.read():
        data += piece
    return data


def test_a_file_is_written_as_long_as_somebody_has_it_open(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb"):
        file = open_file(path)
        assert file is not None
        assert file.is_written()
    assert not file.is_written()
    with path.open("ab"):  # who comes just now is not kept out
        assert file.is_written()
    file.close()


def test_a_log_is_never_followed_to_another_place(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        open_file(tmp_path / "log")


def test_none_is_no_error(tmp_path: Path) -> None:
    assert open_files(tmp_path) == []
