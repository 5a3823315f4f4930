# SPDX-License-Identifier: Apache-2.0
"""Where an engine is and how to get there."""

import asyncio
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from zun.drivers.runtime.docker.options import DockerOptions
from zun.model.errors import Invalid

DEFAULT_URL = "unix:///var/run/docker.sock"
_PLAIN_PORT, _TLS_PORT = 2375, 2376


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """A Unix socket (`socket_path`) or a host and port, with TLS or without."""

    url: str
    base: str
    socket_path: str = ""
    host: str = ""
    port: int = 0
    tls: ssl.SSLContext | None = None

    @property
    def is_here(self) -> bool:
        """Whether its containers are processes of this machine that we may look into: reached over a Unix socket, by root."""
        return bool(self.socket_path) and os.geteuid() == 0

    def connector(self, keep_seconds: float) -> aiohttp.BaseConnector:
        """Connections for requests: as many as are needed (streams hold theirs), kept for a while."""
        if self.socket_path:
            return aiohttp.UnixConnector(self.socket_path, limit=0, keepalive_timeout=keep_seconds)
        return aiohttp.TCPConnector(limit=0, keepalive_timeout=keep_seconds, ssl=self.tls or True)

    async def open(self, limit: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection of one's own; the reader holds at most twice `limit` bytes."""
        if self.socket_path:
            return await asyncio.open_unix_connection(self.socket_path, limit=limit)
        return await asyncio.open_connection(self.host, self.port, ssl=self.tls, limit=limit)


def resolve(options: DockerOptions, environment: Mapping[str, str] = os.environ) -> EngineAddress:
    """The address that options and environment name. Raises `Invalid`."""
    url = options.url or environment.get("DOCKER_HOST", "") or DEFAULT_URL
    parts = urlsplit(url)
    if parts.scheme == "unix" and parts.path:
        return EngineAddress(url, "unix://localhost", socket_path=parts.path)
    if parts.scheme in {"tcp", "http", "https"} and parts.hostname:
        tls = _tls(options)
        port = parts.port or (_TLS_PORT if tls else _PLAIN_PORT)
        base = f"{'https' if tls else 'http'}://{parts.hostname}:{port}"
        return EngineAddress(url, base, "", parts.hostname, port, tls)
    raise Invalid(f"{url!r} is no address of a Docker engine; write unix:///path/to/docker.sock or tcp://host:port.")


def _tls(options: DockerOptions) -> ssl.SSLContext | None:
    if not options.tls_ca:
        return None
    for name in ("tls_ca", "tls_cert", "tls_key"):
        path = getattr(options, name)
        try:
            if path:
                Path(path).read_bytes()
        except OSError as error:
            raise Invalid(f"[docker] {name} = {path} cannot be read: {error.strerror}. Correct it.") from error
    try:
        context = ssl.create_default_context(cafile=options.tls_ca)
        if options.tls_cert:
            context.load_cert_chain(options.tls_cert, options.tls_key)
    except ssl.SSLError as error:
        raise Invalid(
            f"[docker] tls_ca, tls_cert, tls_key: one of these files is not what it should be, or the key is not the certificate's ({error.reason})."
        ) from error
    return context
