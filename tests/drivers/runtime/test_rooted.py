# SPDX-License-Identifier: Apache-2.0
"""The process that works inside a container's root reaches nothing else, whatever lies there and whatever it is sent."""

import asyncio
import io
import os
import stat
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zun.drivers.runtime.host.rooted.client import Bind, Root, Rooted
from zun.drivers.runtime.types import PathStat
from zun.model.errors import Invalid, NotFound, Timeout, Unavailable, ZunError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="entering a root takes root")
SECRET = b"of the machine"


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """A container's root, beside something of the machine's."""
    (tmp_path / "secret").write_bytes(SECRET)
    root = tmp_path / "root"
    for name in ("etc", "tmp", "srv"):
        (root / name).mkdir(parents=True)
    (tmp_path / "at").mkdir()
    return root


def root_at(inside: Path, *binds: Bind) -> Root:
    return Root(str(inside.parent / "at"), directory=str(inside), binds=binds)


async def get(inside: Path, path: str, *binds: Bind) -> tuple[PathStat, bytes]:
    rooted, told = await Rooted.begin("get", root_at(inside, *binds), path, idle_seconds=20)
    assert told is not None
    try:
        return told, b"".join([piece async for piece in rooted.pieces()])
    finally:
        await rooted.close()


async def put(inside: Path, path: str, archive: bytes, *binds: Bind) -> None:
    rooted, _ = await Rooted.begin("put", root_at(inside, *binds), path, idle_seconds=20)
    try:
        await rooted.send(_pieces(archive))
    finally:
        await rooted.close()


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 10_000):
        yield data[start : start + 10_000]


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive}


def tar(*told: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for one in told:
            if isinstance(one, tarfile.TarInfo):
                archive.addfile(one)
            else:
                member = tarfile.TarInfo(one[0])
                member.size = len(one[1])
                archive.addfile(member, io.BytesIO(one[1]))
    return out.getvalue()


def special(name: str, kind: bytes, target: str = "", **fields: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    for field, value in fields.items():
        setattr(member, field, value)
    return member


async def test_directories_that_are_only_needed_can_be_entered_by_everybody_in_the_container(inside: Path) -> None:
    before = os.umask(0o077)
    try:
        await put(inside, "/srv", tar(("deep/er/file", b"x")))
    finally:
        os.umask(before)
    assert stat.S_IMODE((inside / "srv/deep/er").stat().st_mode) == 0o755


async def test_all_kinds_of_things_come_out_and_go_in_again(inside: Path, tmp_path: Path) -> None:
    (inside / "srv" / "sub").mkdir(mode=0o751)
    (inside / "srv" / "file").write_bytes(bytes(range(256)) * 5000)
    os.chown(inside / "srv" / "file", 1000, 1001)
    (inside / "srv" / "file").chmod(0o4640)
    os.link(inside / "srv" / "file", inside / "srv" / "sub" / "same")
    (inside / "srv" / "link").symlink_to("../etc/nowhere")
    os.mkfifo(inside / "srv" / "pipe")
    told, data = await get(inside, "/srv")
    assert (told.name, told.mode & 0o777, bool(told.mode & 1 << 31)) == ("srv", 0o755, True)
    assert set(members(data)) == {"srv", "srv/sub", "srv/sub/same", "srv/file", "srv/link", "srv/pipe"}
    await put(inside, "/tmp", data)
    copy = inside / "tmp" / "srv"
    assert (copy / "file").read_bytes() == (inside / "srv" / "file").read_bytes()
    seen = (copy / "file").stat()
    assert (stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid, seen.st_nlink) == (0o4640, 1000, 1001, 2)
    assert (copy / "link").readlink() == Path("../etc/nowhere")
    assert stat.S_ISFIFO((copy / "pipe").stat().st_mode)
    assert not list((tmp_path / "at").iterdir())


async def test_links_lead_nowhere_but_inside(inside: Path, tmp_path: Path) -> None:
    (inside / "etc" / "out").symlink_to(f"../../../../../../..{tmp_path}")
    (inside / "etc" / "abs").symlink_to(str(tmp_path))
    for path in ("/etc/out/secret", "/etc/abs/secret", "/../secret", "/etc/../../secret", "/proc/self/root/etc/passwd"):
        with pytest.raises(NotFound):
            await get(inside, path)
    for path in ("/etc/out", "/etc/abs"):
        with pytest.raises(ZunError):
            await put(inside, f"{path}/", tar(("new", b"x")))
    await put(inside, "/etc", tar(("../../new", b"x"), ("/abs-new", b"y")))
    assert not (tmp_path / "new").exists()
    assert (inside / "etc" / "new").read_bytes() == b"x"
    assert (inside / "etc" / "abs-new").read_bytes() == b"y"
    assert (tmp_path / "secret").read_bytes() == SECRET


async def test_an_archives_own_links_lead_nowhere_either(inside: Path, tmp_path: Path) -> None:
    evil = tar(special("way", tarfile.SYMTYPE, str(tmp_path)), ("way/secret", b"changed"))
    with pytest.raises(ZunError):
        await put(inside, "/srv", evil)
    assert (tmp_path / "secret").read_bytes() == SECRET
    (inside / "etc" / "passwd").write_bytes(b"inside")
    hard = tar(special("hard", tarfile.LNKTYPE, "../../../secret"))
    with pytest.raises(ZunError):
        await put(inside, "/srv", hard)


async def test_a_device_is_never_opened_nor_made(inside: Path, tmp_path: Path) -> None:
    """Inside, the kernel keeps a tenant off the machine's disk; this process is not held to that, so it must keep off itself."""
    disk = inside / "srv" / "disk"
    os.mknod(disk, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    _, data = await get(inside, "/srv/disk")
    assert members(data)["disk"].type == tarfile.CHRTYPE
    await put(inside, "/srv", tar(("disk", b"content")))
    assert disk.is_file()
    assert disk.read_bytes() == b"content"
    with pytest.raises(Invalid, match="device"):
        await put(inside, "/srv", tar(special("new", tarfile.BLKTYPE, devmajor=8, devminor=0)))
    assert not (inside / "srv" / "new").exists()


async def test_a_pipe_or_a_link_in_a_files_place_is_taken_away_and_not_written_to(inside: Path, tmp_path: Path) -> None:
    os.mkfifo(inside / "srv" / "pipe")
    (inside / "srv" / "link").symlink_to("/etc/kept")
    (inside / "etc" / "kept").write_bytes(b"kept")
    await put(inside, "/srv", tar(("pipe", b"one"), ("link", b"two")))
    assert (inside / "srv" / "pipe").read_bytes() == b"one"
    assert not (inside / "srv" / "link").is_symlink()
    assert (inside / "etc" / "kept").read_bytes() == b"kept"


async def test_volumes_are_seen_where_the_container_sees_them(inside: Path, tmp_path: Path) -> None:
    volume, file = tmp_path / "volume", tmp_path / "injected"
    volume.mkdir()
    file.write_bytes(b"given")
    (inside / "etc" / "way").symlink_to(f"{tmp_path}/elsewhere")
    binds = (Bind(str(volume), "/data/deep"), Bind(str(file), "/etc/key"), Bind(str(volume), "/etc/way/in"))
    await put(inside, "/data/deep", tar(("new", b"x")), *binds)
    assert (volume / "new").read_bytes() == b"x"
    _, data = await get(inside, "/etc/key", *binds)
    assert members(data)["key"].size == len(b"given")
    assert not (tmp_path / "elsewhere").exists()


async def test_a_directory_with_content_is_not_replaced_by_a_file(inside: Path) -> None:
    (inside / "srv" / "full").mkdir()
    (inside / "srv" / "full" / "file").write_bytes(b"x")
    with pytest.raises(Invalid, match="directory"):
        await put(inside, "/srv", tar(("full", b"x")))
    assert (inside / "srv" / "full" / "file").exists()


@pytest.mark.parametrize("archive", [b"", b"no tar" * 1000, tar(("cut", bytes(5000)))[:3000]])
async def test_what_is_no_whole_tar_is_invalid(inside: Path, archive: bytes) -> None:
    with pytest.raises(Invalid):
        await put(inside, "/srv", archive)


async def test_a_header_that_claims_gigabytes_costs_no_memory(inside: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, (8 << 30) - 1
    with pytest.raises(Invalid):
        await put(inside, "/srv", header.tobuf(tarfile.USTAR_FORMAT) + bytes(100_000))


async def test_who_stops_sending_is_given_up(inside: Path) -> None:
    rooted, _ = await Rooted.begin("put", root_at(inside), "/srv", idle_seconds=3)

    async def stalls() -> AsyncIterator[bytes]:
        yield tar(("file", b"x"))[:600]
        await asyncio.Event().wait()

    try:
        with pytest.raises(Timeout):
            await rooted.send(stalls())
    finally:
        await rooted.close()


async def test_one_that_is_ended_from_outside_says_why(inside: Path) -> None:
    (inside / "srv" / "big").write_bytes(bytes(20 << 20))
    rooted, _ = await Rooted.begin("get", root_at(inside), "/srv/big", idle_seconds=20)
    pieces = rooted.pieces()
    await anext(pieces)
    await rooted.cut("the container was removed")
    with pytest.raises(Unavailable, match="was removed"):
        async for _ in pieces:
            pass
    await rooted.close()
