# SPDX-License-Identifier: Apache-2.0
"""`/v1/console`: the WebSocket through which a person, or zunctl for one, talks to a process in a container.

It needs no `X-Auth-Token`: the token in its URL was granted to somebody who had one, works once, soon, and for one process. What is wrong
is told before the upgrade, as an HTTP answer with the usual error.
"""

import logging
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

from starlette.websockets import WebSocket, WebSocketDisconnect

from zun.api import responses
from zun.api.origin import Origin
from zun.api.streams.bridge import NORMAL, Bridge, Framed, Framing, Plain, close
from zun.api.streams.lifetime import Lifetime
from zun.api.streams.options import StreamOptions
from zun.base.ids import canonical_uuid
from zun.model.errors import Denied, Invalid, ZunError
from zun.services.live import LiveService

_LOG = logging.getLogger(__name__)

PATH = "/v1/console"
_FRAMED, _PLAIN = "zun.v1", "binary"
_STOPPING = 1012
_SECURE = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_MAX_PARAMETERS = 16


class ConsoleEndpoint:
    """Consoles."""

    def __init__(self, live: LiveService, origin: Origin, lifetime: Lifetime, options: StreamOptions) -> None:
        self._live = live
        self._origin = origin
        self._lifetime = lifetime
        self._options = options

    async def console(self, socket: WebSocket) -> None:
        """Serve one."""
        try:
            self._check_origin(socket)
            token, uuid, exec_id = _asked(socket)
            async with self._live.console(token, container_uuid=uuid, exec_id=exec_id) as console:
                protocol, framing = _chosen(socket.scope["subprotocols"])
                await socket.accept(protocol)
                _LOG.info("A console of container %s was opened.", uuid)
                bridge = Bridge(console, socket, framing, self._options.stall_seconds)
                if not await self._lifetime.bound(bridge.run()):
                    await close(socket, _STOPPING, "The service stops; open a new console when it is back.")
        except WebSocketDisconnect:
            return
        except ZunError as error:
            await _refuse(socket, error)

    def _check_origin(self, socket: WebSocket) -> None:
        """A web page may open a console only from our own host or from one the operator named. Raises `Denied`."""
        headers: Mapping[bytes, bytes] = dict(socket.scope["headers"])
        given = headers.get(b"origin")
        if given is None:
            return  # no browser
        origin = _split(given.decode("latin-1"))
        own = _split(self._origin.base_url(socket.scope, headers))
        if origin is not None and own is not None and origin[0] == own[0]:
            allowed = {own[1], *(host.lower() for host in self._options.console_allowed_origins)}
            if origin[1] in allowed:
                return
        raise Denied(
            f"Web pages of {given.decode('latin-1')[:100]!r} may not open consoles here; "
            "an operator can allow their host in [streams] console_allowed_origins."
        )


def _split(url: str) -> tuple[str, str] | None:
    """Scheme (as http or https) and host name of a URL."""
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname
    except ValueError:
        return None
    scheme = _SECURE.get(parts.scheme.lower())
    return (scheme, host.lower()) if scheme and host else None


def _asked(socket: WebSocket) -> tuple[str, str, str]:
    """Token, container and exec id of the URL. Raises `Invalid`."""
    try:
        query = parse_qs(socket.scope["query_string"].decode("latin-1"), max_num_fields=_MAX_PARAMETERS)
    except ValueError as error:
        raise Invalid("The console's URL has too many parameters; use it as it was given.") from error
    token, uuid, exec_id = (query.get(name, [""])[-1] for name in ("token", "uuid", "exec_id"))
    known = canonical_uuid(uuid)
    if not token or known is None:
        raise Invalid("The console's URL needs 'token' and 'uuid'; use it as it was given.")
    return token, known, exec_id


def _chosen(offered: Sequence[str]) -> tuple[str | None, Framing]:
    if _FRAMED in offered:
        return _FRAMED, Framed()
    return (_PLAIN if _PLAIN in offered else None), Plain()


async def _refuse(socket: WebSocket, error: ZunError) -> None:
    if socket.application_state.name != "CONNECTING":
        await close(socket, NORMAL, error.message)
        return
    entry = {
        "request_id": "",
        "code": f"container.{error.code}",
        "status": error.http_status,
        "title": error.message,
        "detail": error.message,
        "links": [],
    }
    await socket.send_denial_response(responses.json({"errors": [entry]}, error.http_status))
