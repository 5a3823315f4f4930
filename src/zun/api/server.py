# SPDX-License-Identifier: Apache-2.0
"""Runs the application in an HTTP server of this process, until told to stop. The process's signals are not its business."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from zun.api.options import ApiOptions
from zun.api.request_heads import within
from zun.model.errors import Unavailable

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75
"""An idle connection is closed by who asks, who knows that he is not asking just now: HAProxy does so after 60 s at the latest."""
_MAX_SOCKET_MESSAGE = 1024 * 1024
_GRACE_SECONDS = 1
_SILENT_PEER_MILLISECONDS = 660_000
"""After how long the kernel gives up a peer that acknowledges nothing; longer than any stream lets a living one pause."""


class QuietServer(uvicorn.Server):
    """A server that leaves the process's signals alone."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


def listen(options: ApiOptions) -> socket.socket:
    """The socket to serve on; its name tells the port when port 0 was asked for. Raises `Unavailable` when it is taken."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENT_PEER_MILLISECONDS
    )  # accepted ones inherit it
    try:
        listening.bind((options.host, options.port))
    except OSError as error:
        listening.close()
        raise Unavailable(
            f"Cannot listen on {options.host} port {options.port}: {error.strerror}. "
            "Stop what listens there, or set another [api] host or port."
        ) from error
    listening.listen(_BACKLOG)
    listening.setblocking(False)
    return listening


async def serve(app: ASGIApp, options: ApiOptions, listening: socket.socket) -> None:
    """Serve until cancelled; requests in work get `stop_seconds` to end. The socket is closed at the end."""
    config = uvicorn.Config(
        app,
        http=within(options.body_timeout_seconds),
        ws="websockets-sansio",
        ws_max_size=_MAX_SOCKET_MESSAGE,
        ws_per_message_deflate=False,
        ws_ping_timeout=None,  # while a process reads no input the socket is not read either, so no pong can be demanded
        loop="none",
        interface="asgi3",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=options.max_connections or None,
        timeout_graceful_shutdown=options.stop_seconds,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await asyncio.wait({serving}, timeout=options.stop_seconds + _GRACE_SECONDS)
        serving.cancel()
        await asyncio.wait({serving})
        listening.close()
