# SPDX-License-Identifier: Apache-2.0
"""`GET` and `PUT /v1/containers/{ident}/archive`: files as a raw tar of any size, in bounded memory."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from zun.api import responses
from zun.api.handlers.container_live import PathForm
from zun.api.requests import Call
from zun.api.streams.lifetime import Lifetime
from zun.api.streams.options import StreamOptions
from zun.api.streams.streaming import Flow, StreamedResponse
from zun.drivers.runtime.types import PathStat
from zun.model.errors import ZunError
from zun.model.fields import Unknown
from zun.services.containers import ContainerService
from zun.services.live import LiveService

TAR = "application/x-tar"
STAT_HEADER = "X-Zun-Path-Stat"


class ArchiveStreamHandlers:
    """The raw archive."""

    def __init__(
        self, containers: ContainerService, live: LiveService, lifetime: Lifetime, options: StreamOptions
    ) -> None:
        self._containers = containers
        self._live = live
        self._lifetime = lifetime
        self._options = options

    async def get(self, call: Call) -> Response:
        """A tar of what lies at a path; a header says what that is."""
        form = call.query_arguments(PathForm, unknown=Unknown.REFUSE_QUERY)
        entry = await self._containers.find(call.context, call.params["ident"])

        @asynccontextmanager
        async def opened() -> AsyncIterator[Flow]:
            async with self._live.get_archive(call.context, entry, form.path) as (stat, data):
                yield Flow({STAT_HEADER: _stat_header(stat)}, data)

        return StreamedResponse(opened, self._lifetime, media_type=TAR, stall_seconds=self._options.stall_seconds)

    async def put(self, call: Call) -> Response:
        """Unpack the body, a tar, in the directory `path`."""
        form = call.query_arguments(PathForm, unknown=Unknown.REFUSE_QUERY)
        entry = await self._containers.find(call.context, call.params["ident"])
        upload = _Upload(call.stream())
        try:
            await self._live.put_archive(call.context, entry, form.path, upload.pieces())
        except ZunError as error:
            if upload.failure is not None:  # what the engine says of a broken upload is not the cause
                raise upload.failure from error
            raise
        return responses.no_content()


class _Upload:
    """The client's data, and what was wrong with it: an engine's client may hide what its source raised."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self.failure: ZunError | ClientDisconnect | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._source:
                yield piece
        except (ZunError, ClientDisconnect) as error:
            self.failure = error
            raise


def _stat_header(stat: PathStat) -> str:
    shown = {
        "name": stat.name,
        "size": stat.size,
        "mode": stat.mode,
        "mtime": stat.mtime,
        "linkTarget": stat.link_target,
    }
    return base64.b64encode(msgspec.json.encode(shown)).decode("ascii")
