# SPDX-License-Identifier: Apache-2.0
"""Connections to ports inside containers whose processes run on this machine's kernel.

A socket stays for life in the network namespace it was made in. So a thread goes into the container's, makes a socket there and ends; the
connection is then one like any other. Engines need to know nothing of it, and a program hears a neighbour on its own loopback.
"""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

from zun.base.network_namespaces import enter, identity, is_network_namespace, own_identity
from zun.drivers.runtime.base import PORT_REFUSED
from zun.drivers.runtime.host.cgroups import groups_of
from zun.model.errors import Conflict, Internal, Timeout, Unavailable, Unsupported, ZunError

_OPENING_SECONDS = 10.0
_PIECE_BYTES = 64 * 1024
_PROC = Path("/proc")
_OPEN_FILES = Path("/proc/self/fd")
_INIT = 1
_GVISOR = "runsc"
_LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
_PUBLISH = "publish the port instead, or use another runtime"


class SocketTunnel:
    """Implements `Tunnel` over a connected socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self._ended = False

    async def read(self) -> bytes | None:
        """The next bytes. Who waits may be cancelled; what came at that very moment is lost."""
        try:
            return await self._loop.sock_recv(self._socket, _PIECE_BYTES) or None
        except OSError as error:
            raise Unavailable(f"The container ended the connection ({error.strerror}); connect again.") from error

    async def write(self, data: bytes) -> None:
        """To the container."""
        if self._ended:
            raise Conflict("The end of this connection was sent already; connect again.")
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError as error:
            raise Unavailable(f"The container takes no more ({error.strerror}); connect again.") from error

    async def end(self) -> None:
        """We say no more."""
        if self._ended:
            return
        self._ended = True
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it broke already, which reading tells


@asynccontextmanager
async def tunnel(container_id: str, pid: int, port: int) -> AsyncIterator[SocketTunnel]:
    """A connection to a port of a running container, by the engine's id of it and the machine's number of its first process."""
    try:
        async with asyncio.timeout(_OPENING_SECONDS):
            connected = await _connected(await _made_inside(container_id, pid), port)
    except TimeoutError as error:
        raise Timeout(
            f"Port {port} of the container took no connection within {_OPENING_SECONDS:g} seconds."
        ) from error
    with connected:
        yield SocketTunnel(connected)


async def _connected(sockets: list[socket.socket], port: int) -> socket.socket:
    """The first that finds somebody listening; the others are closed."""
    why = ""
    with ExitStack() as stack:
        for one in sockets:
            stack.callback(one.close)
        for one in sockets:
            try:
                await asyncio.get_running_loop().sock_connect(one, (_LOOPBACK[one.family], port))
            except OSError as error:
                why = why or os.strerror(error.errno or 0)
                continue
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            kept = socket.socket(fileno=one.detach())
            kept.setblocking(False)
            return kept
    raise Conflict(
        f"Nothing takes connections to port {port} on the container's loopback ({why}); see what its program listens on.",
        code=PORT_REFUSED,
    )


async def _made_inside(container_id: str, pid: int) -> list[socket.socket]:
    """Sockets in the container's network, not connected; made by a thread of their own."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[list[socket.socket]] = loop.create_future()

    def tell(made: list[socket.socket], error: ZunError | None) -> None:
        if error is not None and not waiting.done():
            waiting.set_exception(error)
        elif not waiting.done():
            waiting.set_result(made)
        else:  # whoever wanted them has left
            for one in made:
                one.close()

    def work() -> None:
        try:
            made, error = _make_inside(container_id, pid), None
        except ZunError as raised:
            made, error = [], raised
        try:
            loop.call_soon_threadsafe(tell, made, error)
        except RuntimeError:  # the process ends; its loop is closed
            for one in made:
                one.close()

    threading.Thread(target=work, name="into a container's network", daemon=True).start()
    try:
        return await waiting
    except asyncio.CancelledError:
        if waiting.done() and not waiting.cancelled() and waiting.exception() is None:  # they came at this very moment
            for one in waiting.result():
                one.close()
        raise


def _make_inside(container_id: str, pid: int) -> list[socket.socket]:
    """Leaves the calling thread in the container's namespace."""
    with ExitStack() as stack:
        with _while_it_runs():
            # The open directory is this very process for ever: the number may be somebody else's a moment later.
            process = os.open(_PROC / str(pid), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, process)
            if Path(os.readlink("exe", dir_fd=process)).name.startswith(_GVISOR):
                raise Unsupported(
                    f"The container runs in gVisor, whose loopback cannot be reached from outside; {_PUBLISH}."
                )
            if not groups_of(container_id, process, proc=_OPEN_FILES):
                raise Unsupported(
                    f"The container's processes cannot be found on its node, as in a sandbox such as gVisor, so its ports cannot be reached; {_PUBLISH}."
                )
            namespace = os.open("ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
            stack.callback(os.close, namespace)
            shared = not is_network_namespace(namespace) or identity(namespace) in _machines_own()
        if shared:
            raise Unsupported(
                "The container has no network of its own, so only what its node publishes can be reached."
            )
        try:
            enter(namespace)
        except OSError as error:
            raise Internal(
                f"The container's network cannot be entered ({error.strerror}); zund has to run as root."
            ) from error
    return _sockets()


def _machines_own() -> set[str]:
    """The namespaces that are no container's: where we are, and where the machine's first process is if we may look there."""
    own = {own_identity()}
    with suppress(PermissionError):
        own.add(own_identity(_INIT))
    return own


def _sockets() -> list[socket.socket]:
    made = []
    for family in _LOOPBACK:
        try:
            one = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue  # a kernel without that version of IP
        one.setblocking(False)
        made.append(one)
    return made


@contextmanager
def _while_it_runs() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, ProcessLookupError) as error:
        raise Conflict("The container has just ended; start it first.") from error
    except OSError as error:
        raise Internal(
            f"The container's processes cannot be looked at ({error.strerror}); zund has to run as root."
        ) from error
