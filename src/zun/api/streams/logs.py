# SPDX-License-Identifier: Apache-2.0
"""`GET /v1/containers/{ident}/logs/stream`: the log as bytes, as long as it lasts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from starlette.responses import Response

from zun.api.handlers.container_live import LogsForm
from zun.api.requests import Call
from zun.api.streams.framing import log_frame
from zun.api.streams.lifetime import Lifetime
from zun.api.streams.options import StreamOptions
from zun.api.streams.streaming import Flow, StreamedResponse
from zun.drivers.runtime.types import Chunk, LogQuery
from zun.model.fields import Field, Unknown
from zun.model.rules import WIDE_BOOLEAN
from zun.services.containers import ContainerService
from zun.services.live import LiveService

PLAIN = "application/octet-stream"
MULTIPLEXED = "application/vnd.zun.multiplexed-stream"


class LogStreamForm(LogsForm, frozen=True):
    """Of the log stream."""

    follow: Annotated[bool, Field(rule=WIDE_BOOLEAN, doc="Go on until the container ends.")] = False
    multiplexed: Annotated[bool, Field(rule=WIDE_BOOLEAN, doc="In frames that tell stdout from stderr.")] = False


class LogStreamHandlers:
    """The log stream."""

    def __init__(
        self, containers: ContainerService, live: LiveService, lifetime: Lifetime, options: StreamOptions
    ) -> None:
        self._containers = containers
        self._live = live
        self._lifetime = lifetime
        self._options = options

    async def stream(self, call: Call) -> Response:
        """Its output as bytes."""
        form = call.query_arguments(LogStreamForm, unknown=Unknown.REFUSE_QUERY)
        entry = await self._containers.find(call.context, call.params["ident"])
        query = LogQuery(form.stdout, form.stderr, form.timestamps, form.tail, form.since, form.follow)

        @asynccontextmanager
        async def opened() -> AsyncIterator[Flow]:
            async with self._live.logs(call.context, entry, query) as chunks:
                yield Flow({}, _encoded(chunks, multiplexed=form.multiplexed))

        return StreamedResponse(
            opened,
            self._lifetime,
            media_type=MULTIPLEXED if form.multiplexed else PLAIN,
            stall_seconds=self._options.stall_seconds,
        )


async def _encoded(chunks: AsyncIterator[Chunk], *, multiplexed: bool) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield log_frame(chunk) if multiplexed else chunk.data
