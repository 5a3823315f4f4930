# SPDX-License-Identifier: Apache-2.0
"""What a handler gets: one routed request, with its body bounded and its parameters read by declared rules."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from zun.api.exchange import Exchange, exchange_of
from zun.api.options import ApiOptions
from zun.model.caller import Caller, RequestContext
from zun.model.errors import Invalid, Timeout
from zun.model.fields import Unknown, read_form
from zun.model.microversions import Microversion

F = TypeVar("F", bound=msgspec.Struct)
T = TypeVar("T")

_MAX_PARAMETERS = 1000


class Call:
    """One routed request."""

    def __init__(
        self, scope: Scope, receive: Receive, params: Mapping[str, str], options: ApiOptions, max_body_bytes: int
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.params = params
        self.exchange: Exchange = exchange_of(scope)
        self._options = options
        self._max_body_bytes = max_body_bytes
        self._query: dict[str, list[str]] | None = None
        self._body: bytes | None = None

    @property
    def caller(self) -> Caller:
        """Who asks. Public endpoints have no caller and must not ask for it."""
        assert self.exchange.caller is not None  # noqa: S101 - the authentication layer refuses everybody else
        return self.exchange.caller

    @property
    def context(self) -> RequestContext:
        """What services want to know of the request."""
        return RequestContext(self.caller, self.exchange.request_id, self.exchange.version)

    @property
    def version(self) -> Microversion:
        """The microversion in use."""
        return self.exchange.version

    @property
    def base_url(self) -> str:
        """Scheme, host and mount prefix as the client sees them, without `/v1` and without a slash at the end."""
        return self.exchange.base_url

    @property
    def max_limit(self) -> int:
        """Most items on a page."""
        return self._options.max_limit

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's parameters, each with all its values in order. Raises `Invalid` for far too many."""
        if self._query is None:
            try:
                pairs = parse_qsl(
                    self.scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_PARAMETERS
                )
            except ValueError as error:
                raise Invalid(
                    f"A query may have at most {_MAX_PARAMETERS} parameters.", code="invalid-value"
                ) from error
            self._query = {}
            for name, value in pairs:
                self._query.setdefault(name, []).append(value)
        return self._query

    def query_members(self) -> dict[str, Any]:
        """The query as members: the last value of each parameter."""
        return {name: values[-1] for name, values in self.query.items()}

    async def stream(self) -> AsyncIterator[bytes]:
        """The body as it comes, unbounded in size. Raises `Timeout` when it stalls, `ClientDisconnect` when the client is gone."""
        more = True
        while more:
            message = await self._next()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            piece = message.get("body", b"")
            if piece:
                yield piece
            more = message.get("more_body", False)

    async def body(self) -> bytes:
        """The whole body. Raises `Invalid` (413) when it is larger than this endpoint takes."""
        if self._body is None:
            declared = self.exchange.headers.get(b"content-length", b"0")
            if declared.isdigit() and int(declared[:19]) > self._max_body_bytes:
                raise self._too_large()
            collected = bytearray()
            async for piece in self.stream():
                collected += piece
                if len(collected) > self._max_body_bytes:
                    raise self._too_large()
            self._body = bytes(collected)
        return self._body

    async def json_object(self) -> dict[str, Any]:
        """The body as a JSON object. Malformed JSON counts as an empty body; another JSON value is refused."""
        body = await self.body()
        if not body.strip():
            return {}
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return {}
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise Invalid("The body must be a JSON object.", code="schema-validation-error")
        return value

    async def members(self) -> dict[str, Any]:
        """Query parameters and members of the JSON body together; where both name one, the body's counts."""
        return self.query_members() | await self.json_object()

    def read(
        self, form: type[F], members: Mapping[str, Any], *, unknown: Unknown = Unknown.IGNORE, code: str = ""
    ) -> F:
        """Members read by the declared fields of `form`, at the microversion in use. Raises `Invalid` (with `code`)."""
        return read_form(form, members, self.version, unknown=unknown, code=code)

    async def arguments(self, form: type[F], *, unknown: Unknown = Unknown.IGNORE) -> F:
        """Query and body, read by the declared fields of `form`. Raises `Invalid`."""
        return self.read(form, await self.members(), unknown=unknown)

    def query_arguments(self, form: type[F], *, unknown: Unknown = Unknown.IGNORE, code: str = "") -> F:
        """The query alone, read by the declared fields of `form`. Raises `Invalid` (with `code`)."""
        return self.read(form, self.query_members(), unknown=unknown, code=code)

    async def while_connected(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns; it is cancelled when the client hangs up. The body must have been read before."""
        task = asyncio.create_task(work)
        gone = asyncio.create_task(self._gone())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientDisconnect
            return task.result()
        finally:
            task.cancel()
            gone.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    async def _gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def _next(self) -> Message:
        try:
            async with asyncio.timeout(self._options.body_timeout_seconds):
                return await self.receive()
        except TimeoutError as error:
            raise Timeout("The rest of the request's body did not come.", status=408) from error

    def _too_large(self) -> Invalid:
        limit = self._max_body_bytes
        told = f"The body may have at most {limit} bytes here; send less."
        if limit == self._options.max_archive_body_bytes:
            told = f"The body may have at most {limit} bytes here; PUT the tar itself to …/containers/ID/archive, which has no limit."
        return Invalid(told, code="too-large", status=413)
