# SPDX-License-Identifier: Apache-2.0
"""Network links on loopback that a test can cut: TCP proxies which, while cut, hold back everything without a word.

As on a network whose packets are dropped, connections stay open and nothing arrives; what was sent meanwhile arrives when the
link is mended, if the two ends still want it. Who connects is told by the process that owns the connecting socket.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

OTHERS = "others"
"""The name of every process that `name_of` does not know."""

_CHUNK = 65_536


class Links:
    """Proxies in a thread of their own, so that they work beside whatever the test does. `name_of` names a process by its id."""

    def __init__(self, name_of: Callable[[int], str | None]) -> None:
        self._name_of = name_of
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()
        self._cut: set[frozenset[str]] = set()
        self._listeners: list[socket.socket] = []
        self._connections: dict[asyncio.Task[None], _Connection] = {}

    def add(self, target_port: int, name: str) -> int:
        """A link to the loopback port of the process called `name`; returns the port to connect to."""
        return asyncio.run_coroutine_threadsafe(self._listen(target_port, name), self._loop).result(10)

    def cut(self, one: str, other: str) -> None:
        """From now on nothing passes between the two, in either direction."""
        asyncio.run_coroutine_threadsafe(self._change(one, other, cut=True), self._loop).result(10)

    def mend(self, one: str, other: str) -> None:
        """Everything passes again."""
        asyncio.run_coroutine_threadsafe(self._change(one, other, cut=False), self._loop).result(10)

    def close(self) -> None:
        """End all links and the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _change(self, one: str, other: str, *, cut: bool) -> None:
        pair = frozenset((one, other))
        if cut:
            self._cut.add(pair)
        else:
            self._cut.discard(pair)
        for connection in self._connections.values():
            self._judge(connection)

    def _judge(self, connection: "_Connection") -> None:
        """Hold the connection back if its link is cut. Its owner is looked up then only: that takes long."""
        if not self._cut:
            connection.free.set()
            return
        if not connection.owner:
            connection.owner = self._owner(connection.local_port, connection.remote_port)
        if frozenset((connection.owner, connection.target)) in self._cut:
            connection.free.clear()
        else:
            connection.free.set()

    async def _listen(self, target_port: int, name: str) -> int:
        listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        listener.setblocking(False)
        self._listeners.append(listener)
        self._loop.add_reader(listener, self._accept, listener, target_port, name)
        port: int = listener.getsockname()[1]
        return port

    def _accept(self, listener: socket.socket, target_port: int, name: str) -> None:
        try:
            near, peer = listener.accept()
        except OSError:  # it has gone already
            return
        connection = _Connection(near, peer[1], listener.getsockname()[1], name)
        task = self._loop.create_task(connection.carry(target_port))
        self._connections[task] = connection
        task.add_done_callback(self._carried)
        self._judge(connection)

    def _carried(self, task: "asyncio.Task[None]") -> None:
        self._connections.pop(task).close()

    async def _end(self) -> None:
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for connection in self._connections.values():
            connection.close()

    def _owner(self, local_port: int, remote_port: int) -> str:
        """The name of the process whose socket goes from one port to the other."""
        inode = _socket(local_port, remote_port)
        for entry in Path("/proc").iterdir():
            if inode and entry.name.isdigit() and (name := self._name_of(int(entry.name))) is not None:
                with suppress(OSError):
                    if any(_links_to(file) == f"socket:[{inode}]" for file in (entry / "fd").iterdir()):
                        return name
        return OTHERS


class _Connection:
    """One connection through a link. It is `free` to carry, or held back."""

    def __init__(self, near: socket.socket, local_port: int, remote_port: int, target: str) -> None:
        self.local_port = local_port
        self.remote_port = remote_port
        self.target = target
        self.owner = ""
        self.free = asyncio.Event()
        self._near = near
        self._far = socket.socket()
        for each in (self._near, self._far):
            each.setblocking(False)

    async def carry(self, target_port: int) -> None:
        """Carry until both sides have ended."""
        await self.free.wait()
        try:
            await asyncio.get_running_loop().sock_connect(self._far, ("127.0.0.1", target_port))
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carry(self._near, self._far))
                ways.create_task(self._carry(self._far, self._near))
        except* OSError:
            pass

    async def _carry(self, come: socket.socket, go: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(come, _CHUNK):
            await self.free.wait()
            await loop.sock_sendall(go, data)
        await self.free.wait()
        go.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End it."""
        self._near.close()
        self._far.close()


def _socket(local_port: int, remote_port: int) -> str:
    """The inode of the IPv4 loopback socket between two ports, "" when it is gone."""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        words = line.split()
        if (int(words[1].partition(":")[2], 16), int(words[2].partition(":")[2], 16)) == (local_port, remote_port):
            return words[9]
    return ""


def _links_to(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:
        return ""
