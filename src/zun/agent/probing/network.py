# SPDX-License-Identifier: Apache-2.0
"""Checks over the network, made by the node to a container's own address and to nothing else.

A tenant writes what is asked. So the address comes from the control plane or the engine, never from the request, and is one that `may_be_asked`;
it is an address and no name, so nothing is looked up; no proxy is used, no redirection followed, and of the answer only the beginning is read.
"""

import asyncio
import errno
import ipaddress
import logging
import ssl

from zun.agent.probing.judging import NOT_ASKED, PASSED, Answer, failed
from zun.model.probes import HttpGet

_log = logging.getLogger(__name__)

_MOST_BODY = 10 * 1024
_WELL = range(200, 400)
_OWN_TROUBLE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
_HEADERS = (("User-Agent", "zun-probe"), ("Accept", "*/*"), ("Accept-Encoding", "identity"))


async def get(address: str, request: HttpGet, seconds: float) -> Answer:
    """Well: it answers in time with a code from 200 to 399. A redirection is an answer; where it points to is not asked."""
    import aiohttp  # noqa: PLC0415 - loaded only where somebody asks so

    host = f"[{address}]" if ":" in address else address
    url = f"{'https' if request.tls else 'http'}://{host}:{request.port}{request.path}"
    named = {name.lower() for name, _ in request.headers}
    headers = [*((name, value) for name, value in _HEADERS if name.lower() not in named), *request.headers]
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=False, force_close=True, limit=1),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=seconds),
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            await response.content.read(_MOST_BODY)
            return PASSED if response.status in _WELL else failed(f"HTTP status {response.status}")
    except TimeoutError:
        return _late(seconds)
    except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError, ValueError) as error:
        return _judged(error)


async def connect(address: str, port: int, seconds: float) -> Answer:
    """Well: the port takes a connection in time."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return _late(seconds)
    except OSError as error:
        return _judged(error)
    writer.transport.abort()
    return PASSED


def may_be_asked(address: str) -> bool:
    """Whether it can be a container's: the node's own addresses for itself are not, whoever says so."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return not (found.is_loopback or found.is_unspecified or found.is_multicast or found.is_link_local)


def _late(seconds: float) -> Answer:
    return failed(f"no answer within {seconds:g} seconds")


def _judged(error: Exception) -> Answer:
    """What an error says of the container, in words without the address that its owner knows. What this machine lacks says nothing."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, OSError) and cause.errno in _OWN_TROUBLE:
        _log.warning("a container could not be asked: %s", cause.strerror)
        return NOT_ASKED
    if isinstance(cause, ssl.SSLError):
        return failed(f"TLS failed ({(cause.reason or 'no reason given').lower()})")
    if isinstance(cause, ConnectionRefusedError):
        return failed("the connection was refused")
    if isinstance(cause, OSError) and cause.strerror:
        return failed(f"it cannot be reached ({cause.strerror})")
    return failed("it does not answer as an HTTP server does")
