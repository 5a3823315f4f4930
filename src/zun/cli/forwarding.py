# SPDX-License-Identifier: Apache-2.0
"""Local ports, and the connections that are carried from them: each is a WebSocket of its own (docs/api-extensions.md)."""

import asyncio
import signal
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import click
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from zun.base.addresses import written
from zun.cli.client import TOKEN, Client, refusal
from zun.cli.console import OPEN_SECONDS, tls
from zun.cli.failures import NOT_FOUND, REFUSED, Failure, Lost
from zun.cli.output import note

PROTOCOL = Subprotocol("zun.port.v1")
END = "end"
_PIECE_BYTES = 32 * 1024
_MESSAGES_AHEAD = 4
_CLOSE_SECONDS = 2.0
_UNAUTHORIZED, _MISSING = 401, 404


@dataclass(frozen=True)
class Forward:
    """A port here (0: any that is free) and one inside."""

    local: int
    remote: int


class Forwarding:
    """What one command forwards; `run` lasts until a signal ends it. A connection that fails is told on standard error and harms no other."""

    def __init__(self, client: Client, path: str, ports: Sequence[Forward], addresses: Sequence[str]) -> None:
        self._client = client
        self._path = path
        self._ports = ports
        self._addresses = addresses
        self._tls = tls(verify=client.access.verify) if client.access.url.startswith("https:") else None
        self._login = asyncio.Lock()
        self._connections: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Listen and carry; the exit code. Raises `Failure` when a port cannot be listened on."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        servers: list[asyncio.Server] = []
        try:
            for port, address in product(self._ports, self._addresses):
                server = await self._listen(address, port)
                servers.append(server)  # each at once: the next may fail
            await stop.wait()
        finally:
            for server in servers:
                server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
        return 0

    async def _listen(self, address: str, port: Forward) -> asyncio.Server:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._carry(port.remote, reader, writer))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

        try:
            server = await asyncio.start_server(accept, address, port.local)
        except OSError as error:
            raise Failure(
                f"Cannot listen on {address} port {port.local}: {error.strerror or error}. Choose another local port, or :{port.remote}."
            ) from error
        for listening in server.sockets:
            host, local = listening.getsockname()[:2]
            click.echo(f"Forwarding {written(host, local)} -> {port.remote}")
        return server

    async def _carry(self, remote: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inside = await self._open(remote)
            try:
                await _both_ways(inside, reader, writer)
            finally:
                await inside.close()
        except Failure as failure:
            note(f"zunctl: port {remote}: {failure.message}")
            _reset(writer)
        except OSError:
            return  # who connected to us has left
        finally:
            writer.close()

    async def _open(self, remote: int) -> ClientConnection:
        """A connection to the port inside. Raises `Failure`."""
        token = self._client.access.token
        try:
            return await self._connect(remote, token)
        except InvalidStatus as refused:
            if refused.response.status_code != _UNAUTHORIZED or not await self._logged_in_again(token):
                raise _refused(refused) from refused
        try:
            return await self._connect(remote, self._client.access.token)
        except InvalidStatus as refused:
            raise _refused(refused) from refused

    async def _connect(self, remote: int, token: str) -> ClientConnection:
        url = f"ws{self._client.access.url.removeprefix('http')}{self._path}?port={remote}"
        try:
            return await connect(
                url,
                subprotocols=[PROTOCOL],
                additional_headers={TOKEN: token},
                compression=None,
                open_timeout=OPEN_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                ping_timeout=None,  # a service that waits for the container reads no pings meanwhile
                max_queue=_MESSAGES_AHEAD,
                ssl=self._tls,
            )
        except InvalidStatus:
            raise
        except (InvalidHandshake, InvalidURI) as error:
            raise Failure(f"The service did not open the connection: {error}. Try again.") from error
        except (OSError, TimeoutError) as error:
            raise Lost(f"{self._client.access.url} cannot be reached: {error}. Try again.") from error

    async def _logged_in_again(self, refused: str) -> bool:
        async with self._login:
            return await asyncio.to_thread(self._client.log_in_again, refused)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a local connection so that it cannot be taken for a good end: a download that broke off is not complete."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _refused(error: InvalidStatus) -> Failure:
    status = error.response.status_code
    code = NOT_FOUND if status == _MISSING else REFUSED
    return Failure(refusal(status, bytes(error.response.body or b"")), code, status=status)


async def _both_ways(inside: ClientConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the service closes the socket, or who connected to us is gone. Raises `Failure` with why it broke, `ConnectionError`."""
    inwards, ended = asyncio.create_task(_inwards(inside, reader)), False
    try:
        async for message in inside:
            if isinstance(message, bytes):
                writer.write(message)
                await writer.drain()
            elif message == END:
                ended = True
                writer.write_eof()
    except ConnectionClosed as closed:
        told = closed.rcvd
        raise Failure(
            (told.reason if told else "") or "The connection to the service broke; connect again."
        ) from closed
    finally:
        inwards.cancel()
        await asyncio.gather(inwards, return_exceptions=True)
    if not ended and not writer.transport.is_closing():
        raise Failure("The service ended the connection before the container did; connect again.")


async def _inwards(inside: ClientConnection, reader: asyncio.StreamReader) -> None:
    """From who connected to us to the container. One that breaks off ends the whole connection."""
    try:
        while data := await reader.read(_PIECE_BYTES):
            await inside.send(data)
        await inside.send(END)
    except ConnectionClosed:
        return  # the other way tells
    except OSError:
        await inside.close()
