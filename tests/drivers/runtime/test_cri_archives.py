# SPDX-License-Identifier: Apache-2.0
"""Files in and out of containers on a real containerd, while they run, begin, end, and try to get at the machine."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.cri_runtime import CriHarness
from zun.drivers.runtime.contract_harness import ended, execute, make, pieces, run
from zun.drivers.runtime.types import FileMount, VolumeMount
from zun.model.errors import NotFound, Unavailable, ZunError

pytestmark = pytest.mark.containerd


def tar(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


async def content(cri: CriHarness, handle: str, path: str) -> bytes:
    async with cri.runtime.streams.get_archive(handle, path) as (_, data):
        packed = b"".join([piece async for piece in data])
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        assert file is not None
        return file.read()


async def test_files_of_all_its_lives_are_the_same_ones(cri: CriHarness) -> None:
    """Before its start, while it runs, after its end, and after another start."""
    streams, volume = cri.runtime.streams, VolumeMount(cri.volume(), "/data")
    injected = FileMount(cri.host_file(b"injected"), "/etc/injected")
    handle = await make(
        cri, ["sh", "-c", "cat /srv/a /data/b && exec sleep 1000"], volumes=(volume,), files=(injected,)
    )
    await streams.put_archive(handle, "/srv", pieces(tar(a=b"1")))
    await streams.put_archive(handle, "/data", pieces(tar(b=b"2")))
    assert await content(cri, handle, "/etc/injected") == b"injected"
    await cri.runtime.containers.start(handle)
    await execute(cri, handle, ["sh", "-c", "echo 3 > /srv/c; echo 4 > /data/d"])
    assert await content(cri, handle, "/srv/c") == b"3\n"
    assert await content(cri, handle, "/data/d") == b"4\n"
    await cri.runtime.containers.stop(handle, 0)
    assert await content(cri, handle, "/srv/a") == b"1"
    assert await content(cri, handle, "/data/d") == b"4\n"
    await streams.put_archive(handle, "/srv", pieces(tar(e=b"5")))
    await cri.runtime.containers.start(handle)
    assert (await execute(cri, handle, ["cat", "/srv/a", "/srv/c", "/srv/e"]))[0] == b"13\n5"


async def test_a_running_tenant_does_not_lead_a_copy_out(cri: CriHarness, tmp_path: Path) -> None:
    """It changes a directory into a link and back as fast as it can, and makes a node of the machine's disk."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"of the machine")
    swap = f"while :; do mkdir /srv/way; rmdir /srv/way; ln -s {tmp_path} /srv/way; rm /srv/way; done"
    handle = await run(cri, ["sh", "-c", f"mknod /srv/null c 1 3; {swap}"])
    for way in ("/srv/way/secret", f"/srv/way/../../../../..{secret}") * 4:
        with suppress(ZunError):
            await cri.runtime.streams.put_archive(handle, "/srv/way", pieces(tar(secret=b"changed")))
        with suppress(ZunError):
            assert await content(cri, handle, way) == b"changed"
    assert secret.read_bytes() == b"of the machine"
    await cri.runtime.streams.put_archive(handle, "/srv", pieces(tar(null=b"a file")))
    assert await content(cri, handle, "/srv/null") == b"a file"


async def test_a_start_ends_a_copy_that_does_not_end_by_itself(cri: CriHarness) -> None:
    handle = await make(cri, ["sleep", "1000"])
    begun = asyncio.Event()

    async def never_ending() -> AsyncIterator[bytes]:
        yield tar(first=bytes(100_000))[:50_000]
        begun.set()
        await asyncio.Event().wait()

    copying = asyncio.create_task(cri.runtime.streams.put_archive(handle, "/srv", never_ending()))
    await begun.wait()
    await cri.runtime.containers.start(handle)
    with pytest.raises(Unavailable, match="started"):
        await copying
    await cri.runtime.containers.remove(handle)


async def test_a_removal_does_not_wait_for_copies(cri: CriHarness) -> None:
    handle = await run(cri)
    await execute(cri, handle, ["dd", "if=/dev/zero", "of=/srv/big", "bs=1M", "count=64"])
    async with cri.runtime.streams.get_archive(handle, "/srv/big") as (told, data):
        assert told.size == 64 << 20
        await anext(data)
        async with asyncio.timeout(60):
            await cri.runtime.containers.remove(handle)
        with pytest.raises(Unavailable, match="removed"):
            async for _ in data:
                pass
    with pytest.raises(NotFound):
        await content(cri, handle, "/srv/big")
    assert not list((cri.directory / "cri" / "mounts").iterdir())


async def test_a_large_file_goes_through_as_it_is(cri: CriHarness) -> None:
    handle = await run(
        cri, ["sh", "-c", "dd if=/dev/urandom of=/srv/big bs=1M count=24 2>/dev/null; md5sum < /srv/big"]
    )
    await ended(cri, handle)
    big = await content(cri, handle, "/srv/big")
    await cri.runtime.streams.put_archive(handle, "/tmp", pieces(tar(copy=big)))
    assert await content(cri, handle, "/tmp/copy") == big
