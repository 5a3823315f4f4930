# SPDX-License-Identifier: Apache-2.0
"""Nodes for the contract of `NodeLive`: the agent's own part on a made-up engine, and the fake. Each implements `NodeHarness`."""

import asyncio
import io
import tarfile

from zun.agent.describing import Describing
from zun.agent.fingerprinting import About
from zun.agent.live import AgentLive
from zun.agent.sessions import ExecSessions
from zun.base.clock import SystemClock
from zun.base.ids import new_uuid
from zun.drivers.runtime.fake import FakeEngine, FakeRuntime
from zun.drivers.runtime.fake.container import FakeContainer
from zun.drivers.runtime.types import Channel, Chunk, ContainerRequest, ExecRequest
from zun.model.errors import NotFound
from zun.services.nodelive import NodeLive
from zun.services.nodelive_fake import FakeNode, FakeSession, echo


class AgentNode:
    """What an agent serves, without the agent's life."""

    def __init__(self) -> None:
        self.echo = ["cat"]
        self.fails = ["sh", "-c", "printf out; printf err >&2; exit 5"]
        self.directory = "/d"
        clock = SystemClock()
        self.engine = FakeEngine(clock)
        self.engine.add_image("busybox")
        self.runtime = FakeRuntime(clock, owner="me", engine=self.engine)
        self._handles: dict[str, str] = {}
        self.agent = AgentLive(
            self.runtime,
            self._handle,
            ExecSessions(clock, limit=1000, idle_seconds=3600),
            Describing(About("n1", new_uuid(), "boot-1", clock.now()), self.runtime, clock),
            timeout_seconds=30,
        )
        self.live: NodeLive = self.agent
        self.running = self.other = self.stopped = self.listener = ""
        self.listening = 7

    async def open(self) -> "AgentNode":
        """With its containers."""
        self.running, self.other = await self.run(["cat"]), await self.run(["cat"])
        self.stopped = await self.run(["true"])
        self.listener = await self.run(["nc", "-ll", "-p", "7", "-e", "cat"])
        container = self.container(self.running)
        container.files.write("/d/there", b"")
        container.write_out(Channel.STDOUT, b"kept\n")
        container.write_out(Channel.STDERR, b"oops\n")
        return self

    async def run(self, command: list[str]) -> str:
        """One more container; its uuid."""
        uuid = new_uuid()
        request = ContainerRequest(
            uuid=uuid, generation=1, project_id="p", image="busybox", command=command, interactive=True, memory_mib=64
        )
        self._handles[uuid] = await self.runtime.containers.create(request)
        await self.runtime.containers.start(self._handles[uuid])
        return uuid

    def container(self, uuid: str) -> FakeContainer:
        return self.engine.container(self._handles[uuid])

    async def say(self, data: bytes) -> None:
        self.container(self.running).write_out(Channel.STDOUT, data)

    async def end(self) -> None:
        self.engine.end(self._handles[self.running])

    async def heard(self) -> bytes:
        return b"".join(line.data for line in self.container(self.running).log or ())

    async def terminal_size(self, exec_id: str = "") -> tuple[int, int]:
        width, height = self.engine.execs[exec_id].size if exec_id else self.container(self.running).size
        return width, height

    async def nothing_open(self) -> bool:
        return not self.agent.tunnels and not any(self.agent.in_use(uuid) for uuid in self._handles)

    def _handle(self, uuid: str) -> str:
        try:
            return self._handles[uuid]
        except KeyError as error:
            raise NotFound(f"There is no container {uuid} on this node.") from error


class ScriptedNode:
    """The fake with the containers of the contract."""

    def __init__(self) -> None:
        self.echo = ["echo"]
        self.fails = ["fails"]
        self.directory = "/d"
        self.node = FakeNode()
        self.live: NodeLive = self.node
        self.running, self.other, self.stopped = new_uuid(), new_uuid(), new_uuid()
        self.listener, self.listening = self.other, 7
        self.node.known = {self.running, self.other, self.stopped}
        self.node.stopped = {self.stopped}
        self.node.logs_of[self.running] = [Chunk(Channel.STDOUT, b"kept\n"), Chunk(Channel.STDERR, b"oops\n")]
        self.node.follow |= {uuid: asyncio.Queue() for uuid in (self.running, self.other)}
        self.node.programs |= {"echo": echo, "fails": _fails}
        self.node.main = self._main
        self.node.files[self.running, self.directory] = _empty_tar()
        self._ended = asyncio.Event()

    async def say(self, data: bytes) -> None:
        self.node.follow[self.running].put_nowait(Chunk(Channel.STDOUT, data))

    async def end(self) -> None:
        self.node.follow[self.running].put_nowait(None)
        self._ended.set()

    async def heard(self) -> bytes:
        assert self.node.last_session is not None
        return bytes(self.node.last_session.written)

    async def terminal_size(self, exec_id: str = "") -> tuple[int, int]:
        assert self.node.last_session is not None
        return self.node.last_session.sizes[-1]

    async def nothing_open(self) -> bool:
        return self.node.open_sessions == self.node.open_streams == 0

    async def _main(self, session: FakeSession, _: ExecRequest | None) -> int:
        echoing = asyncio.create_task(echo(session, None))
        ending = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait([echoing, ending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (echoing, ending):
                task.cancel()
        return 0


async def _fails(session: FakeSession, _: ExecRequest | None) -> int:
    await session.emit(b"out")
    await session.emit(b"err", Channel.STDERR)
    return 5


def _empty_tar() -> bytes:
    out = io.BytesIO()
    tarfile.open(fileobj=out, mode="w").close()
    return out.getvalue()
