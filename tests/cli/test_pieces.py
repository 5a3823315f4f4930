# SPDX-License-Identifier: Apache-2.0
"""Small parts: keys that detach, log frames, times, tar archives."""

import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from zun.cli.failures import Failure, Lost, command_failure
from zun.cli.logs import frames, since_seconds
from zun.cli.tarring import pack, unpack
from zun.cli.terminal import DetachKeys
from zun.cli.words import age, milliseconds, size


def test_the_detach_keys_are_found_also_when_they_come_apart() -> None:
    assert DetachKeys().feed(b"ls\x10\x11rest") == (b"ls", True)
    keys = DetachKeys()
    assert keys.feed(b"a\x10") == (b"a", False)
    assert keys.feed(b"\x11") == (b"", True)


def test_a_first_key_alone_is_passed_on_with_what_follows() -> None:
    keys = DetachKeys()
    assert keys.feed(b"\x10") == (b"", False)
    assert keys.feed(b"x") == (b"\x10x", False)


def test_frames_are_read_however_they_are_cut() -> None:
    stream = b"\x01\x00\x00\x00\x02hi" + b"\x02\x00\x00\x00\x00" + b"\x02\x00\x00\x00\x03err"
    for length in range(1, len(stream) + 1):
        pieces = [stream[start : start + length] for start in range(0, len(stream), length)]
        assert list(frames(iter(pieces))) == [(1, b"hi"), (2, b""), (2, b"err")]


def test_a_log_that_breaks_off_is_no_whole_log() -> None:
    with pytest.raises(Lost):
        list(frames(iter([b"\x01\x00\x00\x00\x09hi"])))


def test_times_of_people_become_seconds() -> None:
    assert since_seconds("10m", now=1000.0) == "400.0"
    assert since_seconds("1700000000") == "1700000000.0"
    assert since_seconds("2026-01-01T00:00:00+00:00") == "1767225600.0"


def test_ages_and_sizes_are_words() -> None:
    now = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    assert age("2026-01-01 11:57:00.5", now) == "2 minutes ago"
    assert age("2026-01-01T11:59:59", now) == "1 second ago"
    assert age(None, now) == "-"
    assert size(1536) == "1.5 KiB"
    assert milliseconds(1234) == "1.2 s"


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ('exec: "x": executable file not found in $PATH: unknown', 127),
        ('exec: "/etc/passwd": permission denied: unknown', 126),
        ("There are not enough hosts available.", 125),
    ],
)
def test_why_a_command_did_not_run_is_told_by_the_exit_code(reason: str, code: int) -> None:
    assert command_failure(reason).exit_code == code


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "file").write_bytes(b"x" * 1000)
    (root / "sub" / "deep").write_text("deep")
    (root / "link").symlink_to("sub/deep")
    (root / "file").chmod(0o750)
    return root


def test_what_is_packed_is_an_ordinary_tar_that_belongs_to_root(tree: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(b"".join(pack(tree, "other")))) as archive:
        names = archive.getnames()
        assert sorted(names) == ["other", "other/file", "other/link", "other/sub", "other/sub/deep"]
        assert archive.getmember("other/link").linkname == "sub/deep"
        assert archive.getmember("other/file").mode == 0o750
        assert {member.uid for member in archive.getmembers()} == {0}


@pytest.mark.parametrize(("top", "where"), [(None, "tree"), ("new", "new"), ("", "")])
def test_a_round_trip_keeps_the_tree(tree: Path, tmp_path: Path, top: str | None, where: str) -> None:
    target = tmp_path / "target"
    target.mkdir()
    unpack(pack(tree, "tree"), target, top=top)
    assert (target / where / "sub" / "deep").read_text() == "deep"
    assert (target / where / "link").readlink() == Path("sub/deep")
    assert (target / where / "file").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("name", ["../evil", "a/../../evil"])
def test_an_archive_cannot_write_outside_of_its_target(tmp_path: Path, name: str) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(Failure, match="outside"):
        unpack([data.getvalue()], target, top=None)
    assert not (tmp_path / "evil").exists()


def test_a_link_is_no_way_out_either(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        link = tarfile.TarInfo("door")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("door/evil"))
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(Failure, match="outside"):
        unpack([data.getvalue()], target, top=None)
    assert not (tmp_path / "evil").exists()


def test_a_tar_that_breaks_off_is_told(tree: Path, tmp_path: Path) -> None:
    whole = b"".join(pack(tree, "tree"))
    with pytest.raises(Failure, match="broke off"):
        unpack([whole[:1200]], tmp_path, top="broken")
