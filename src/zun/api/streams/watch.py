# SPDX-License-Identifier: Apache-2.0
"""`GET /v1/watch`: what changes among a project's containers, as server-sent events that can be resumed.

An event tells what a container is when it is sent, not each step on the way there: several changes that come together are one event.
Its id is a revision of the store; whoever comes back with it misses nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated

import msgspec
from starlette.responses import Response

from zun.api.authentication import caller_of
from zun.api.rendering import ContainerViewer
from zun.api.requests import Call
from zun.api.responses import encode
from zun.api.streams.lifetime import Lifetime
from zun.api.streams.options import StreamOptions
from zun.api.streams.streaming import Flow, StreamedResponse
from zun.base.ids import canonical_uuid
from zun.drivers.identity.base import Identity
from zun.model.errors import Denied, Invalid, Unavailable
from zun.model.fields import Field, Unknown
from zun.model.rules import LIST_BOOLEAN, integer, text
from zun.policy.enforcer import Policy
from zun.store.view import Change, Subscription, View

EVENTS = "text/event-stream"
_LAST_EVENT = b"last-event-id"
_REVISION = integer(0, 2**62)
_HEARTBEAT = b": still here\n\n"


class WatchForm(msgspec.Struct, frozen=True):
    """Of watch."""

    since: Annotated[
        int | None, Field(rule=_REVISION, doc="The id of the last event one had; events after it follow.")
    ] = None
    container: Annotated[str | None, Field(rule=text(1, 64), doc="Only of the container with this uuid.")] = None
    all_projects: Annotated[bool, Field(rule=LIST_BOOLEAN, doc="Of every project; for administrators.")] = False


class _Scope(msgspec.Struct, frozen=True):
    """What a watcher sees. `project_id` None: everybody's. `container` None: all of them."""

    rule: str
    project_id: str | None
    container: str | None

    def covers(self, change: Change) -> bool:
        """Whether a change is one of it."""
        return (
            change.kind == "container"
            and not change.capsule
            and (self.project_id is None or change.project_id == self.project_id)
            and (self.container is None or change.id == self.container)
        )


class WatchHandlers:
    """The watch. A watcher whose token ends, or who may no longer list, is let go at the next sign of life."""

    def __init__(
        self,
        *,
        view: View,
        policy: Policy,
        viewer: ContainerViewer,
        identity: Identity,
        lifetime: Lifetime,
        options: StreamOptions,
    ) -> None:
        self._view = view
        self._policy = policy
        self._viewer = viewer
        self._identity = identity
        self._lifetime = lifetime
        self._options = options

    async def watch(self, call: Call) -> Response:
        """Follow what changes."""
        form = call.query_arguments(WatchForm, unknown=Unknown.REFUSE_QUERY)
        scope = self._scope(call, form)
        self._policy.authorize(call.caller, scope.rule)
        since = self._since(call, form)
        await self._view.fresh()
        future = since is not None and since > self._view.revision
        subscription = self._view.subscribe(None if future else since)
        first = self._marker("reset" if future else "ready") if future or since is None else b""

        @asynccontextmanager
        async def opened() -> AsyncIterator[Flow]:
            yield Flow({}, self._events(call, scope, subscription, first))

        return StreamedResponse(
            opened, self._lifetime, media_type=EVENTS, stall_seconds=self._options.watch_stall_seconds
        )

    @staticmethod
    def _scope(call: Call, form: WatchForm) -> _Scope:
        container = None if form.container is None else canonical_uuid(form.container)
        if form.container is not None and container is None:
            raise Invalid("'container' must be the uuid of a container.", code="invalid-value")
        if form.all_projects:
            return _Scope("container:get_all_all_projects", None, container)
        return _Scope("container:get_all", call.caller.project_id, container)

    @staticmethod
    def _since(call: Call, form: WatchForm) -> int | None:
        """A browser that reconnects asks the same URL and adds the last id in a header, so the header counts more."""
        header = call.exchange.headers.get(_LAST_EVENT, b"").strip()
        if not header:
            return form.since
        return _REVISION.parse("Last-Event-ID", header.decode("latin-1"), code="invalid-value")

    async def _events(
        self, call: Call, scope: _Scope, subscription: Subscription, first: bytes
    ) -> AsyncIterator[bytes]:
        yield first or _HEARTBEAT
        loop = asyncio.get_running_loop()
        sign_at = loop.time() + self._options.heartbeat_seconds
        while True:
            changes: list[Change] = []
            with suppress(TimeoutError):
                async with asyncio.timeout_at(sign_at):
                    changes = await subscription.batch()
            if loop.time() >= sign_at:  # also where somebody's changes never pause
                if not await self._still_welcome(call, scope):
                    return
                yield _HEARTBEAT
                sign_at = loop.time() + self._options.heartbeat_seconds
            elif not self._policy.allows(call.caller, scope.rule):
                return
            for piece in self._rendered(call, scope, changes):
                yield piece

    async def _still_welcome(self, call: Call, scope: _Scope) -> bool:
        try:
            caller = await caller_of(self._identity, call.exchange, call.scope)
        except (Denied, Unavailable):  # who cannot be asked about comes back and is told why
            return False
        return self._policy.allows(caller, scope.rule)

    def _rendered(self, call: Call, scope: _Scope, changes: list[Change]) -> list[bytes]:
        newest: dict[str, Change] = {}
        for change in changes:
            if change.kind == "reset":
                return [self._marker("reset")]
            if scope.covers(change):
                newest.pop(change.id, None)  # so that the order stays that of the revisions
                newest[change.id] = change
        found = (self._event_of(call, change) for change in newest.values())
        return [event for event in found if event]

    def _event_of(self, call: Call, change: Change) -> bytes:
        if change.deleted:
            return _event("deleted", encode({"uuid": change.id}), change.revision)
        entry = self._view.container(change.id)
        if entry is None:
            return b""  # its deletion follows
        body, _ = self._viewer.one(entry, call.caller, call.base_url)
        return _event("changed", b'{"container":%b}' % body, change.revision)

    def _marker(self, name: str) -> bytes:
        revision = self._view.revision
        return _event(name, encode({"revision": revision}), revision)


def _event(name: str, data: bytes, revision: int) -> bytes:
    """JSON has no line breaks of its own, so the data is one line."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (revision, name.encode(), data)
