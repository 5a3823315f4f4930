# SPDX-License-Identifier: Apache-2.0
"""The view: all of `v/`, watched, in memory; the only way in which API servers and controllers look at the state.

A read first lets the view catch up with the store (`fresh`), so what any API server acknowledged every one shows. With the
store away the view answers from what it knows and says since when (`stale_since`).
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.children import RecordKind
from zun.model.errors import Internal, Timeout, Unavailable
from zun.model.networks import NetworkRecord
from zun.model.records import Limits, Usage
from zun.model.registry import RegistryRecord
from zun.model.states import Status
from zun.model.status import Derived
from zun.store import keys
from zun.store.codec import decode
from zun.store.freshness import AWAY_SECONDS, PROBE_PAUSE_SECONDS, UNASKED_SECONDS, SharedRevision
from zun.store.interface import Compacted, Event, Store, WatchBatch
from zun.store.view_entries import ChildEntry, ContainerEntry, HeldNetwork, ImageEntry, NodeEntry
from zun.store.view_expect import Expectation, Expectations
from zun.store.view_feed import Change, Feed, Subscription
from zun.store.view_index import Counts
from zun.store.view_listing import list_differences
from zun.store.view_state import ViewState

__all__ = ["Change", "ContainerEntry", "HeldNetwork", "ImageEntry", "NodeEntry", "Subscription", "View"]

_LOG = logging.getLogger(__name__)
_RETRY = Backoff(first_seconds=0.1, cap_seconds=5.0)
_CATCH_UP_SECONDS = 5.0

AWAY = (
    "The store does not answer, so nothing can be changed for the moment, and nothing was; try again when it is back."
)


class View:
    """See the module. `run` must be running; wait for `ready` before the first look."""

    def __init__(self, store: Store, clock: Clock, *, feed_size: int | None = None) -> None:
        self._store = store
        self._clock = clock
        self._expectations = Expectations()
        self._state = ViewState(self._expectations, clock.now)
        self._feed = Feed(feed_size) if feed_size is not None else Feed()
        self._shared = SharedRevision(store, clock)
        self._ready = asyncio.Event()
        self._waiters: dict[asyncio.Future[None], int] = {}
        self.revision = 0
        self.stale_since: float | None = None

    async def run(self) -> None:
        """Follow the store until cancelled: list once, then watch; list again only when the watch's start was compacted."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._shared.run())
            tasks.create_task(self._probe())
            await self._follow()

    async def ready(self) -> None:
        """Wait until the view is filled."""
        await self._ready.wait()

    async def at_least(self, revision: int, timeout_seconds: float = _CATCH_UP_SECONDS) -> None:
        """Wait until the view has `revision`. Raises `Timeout`."""
        if self.revision >= revision:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = revision
        try:
            async with asyncio.timeout(timeout_seconds):
                await waiter
        except TimeoutError as error:
            raise Timeout("The service has not caught up with its store yet; try again.") from error
        finally:
            self._waiters.pop(waiter, None)

    async def fresh(self) -> None:
        """Let the view have everything that was acknowledged before this call; with the store away, mark it stale instead.

        Does not give way to other tasks when an embedded store says that there is nothing new.
        """
        known = self._store.known_revision()
        if known is not None:
            if self.revision >= known:
                return
        elif self.stale_since is not None:
            return  # a probe finds out when the store is back; requests do not wait for it one by one
        try:
            await self.at_least(await self._shared.get() if known is None else known)
        except (Unavailable, Timeout):
            self._mark_stale()

    async def trusted(self) -> None:
        """`fresh`, for who is about to change something, or wants what the view does not hold. Raises `Unavailable` at once when the store
        is known to be away; with one that may only be slow, who asks it finds out."""
        await self.fresh()
        silent = self._clock.monotonic() - self._shared.answered_at
        if self.stale_since is not None and silent >= AWAY_SECONDS:
            raise Unavailable(AWAY)

    def container(self, uuid: str) -> ContainerEntry | None:
        """The container or capsule with this uuid."""
        return self._state.containers.get(uuid)

    def child(self, uuid: str) -> ChildEntry | None:
        """The container of a capsule with this uuid, as it is now. Raises `Internal` when the capsule's wish is damaged."""
        capsule = self._state.containers.index.capsule_of(uuid)
        return ChildEntry(capsule, uuid) if capsule is not None else None

    def seen_by_people(self, uuid: str) -> ContainerEntry | None:
        """What people call a container: one that stands alone, or one of a capsule."""
        entry = self._state.containers.get(uuid)
        if entry is None:
            return self.child(uuid)
        return entry if entry.kind is RecordKind.CONTAINER else None

    def containers(
        self,
        project_id: str | None = None,
        *,
        node: str | None = None,
        name: str | None = None,
        status: Status | None = None,
    ) -> Iterable[ContainerEntry]:
        """The containers and capsules that match all that is given, oldest first. Do not keep the answer over an await."""
        index = self._state.containers.index
        if name is not None:
            found: Iterable[ContainerEntry] = index.named(name)
        elif node is not None:
            found = index.on_node(node)
        elif status is not None:
            found = index.with_status(status, self.derive)
        elif project_id is not None:
            found = [*index.of_kind(RecordKind.CONTAINER, project_id), *index.of_kind(RecordKind.CAPSULE, project_id)]
        else:
            return index.everything()
        return [
            entry
            for entry in found
            if (project_id is None or entry.project_id == project_id)
            and (node is None or entry.node == node)
            and (status is None or self.derive(entry).status is status)
        ]

    def by_age(self, project_id: str | None) -> list[ContainerEntry]:
        """A project's containers (None: all), oldest first. The list is shared: do not change it, do not keep it over an await."""
        return self._state.containers.index.of_kind(RecordKind.CONTAINER, project_id)

    def capsules(self, project_id: str | None) -> list[ContainerEntry]:
        """The same of capsules."""
        return self._state.containers.index.of_kind(RecordKind.CAPSULE, project_id)

    def derive(self, entry: ContainerEntry) -> Derived:
        """The container's status, task and reason, with its node's liveness; remembered until one of them changes."""
        return self._state.containers.derive(entry)

    def counts(self) -> Counts:
        """How many containers there are; as quick as few of them changed since the last question."""
        return self._state.containers.index.counts(self.derive)

    def visible_revision(self, entry: ContainerEntry) -> int:
        """Changes whenever what is shown of the container may: with its records, and with its node's liveness."""
        node = self._state.nodes.get(entry.node)
        return max(entry.revision, node.liveness_revision) if node is not None else entry.revision

    def node(self, name: str) -> NodeEntry | None:
        """A node by name."""
        return self._state.nodes.get(name)

    def nodes(self) -> list[NodeEntry]:
        """All nodes, by name."""
        return list(self._state.nodes.by_name())

    def gone_nodes(self) -> tuple[int, int]:
        """How many nodes do not report, and of how many: of those registered and not declared down."""
        return self._state.nodes.gone, self._state.nodes.counted

    def usage(self, project_id: str) -> tuple[Usage, int]:
        """What a project uses, with its revision (0: absent)."""
        raw, revision = self._state.raw(keys.quota(project_id))
        return (decode(Usage, raw) if revision else Usage()), revision

    def usages(self) -> dict[str, Usage]:
        """What each project uses; those whose record cannot be read are left out."""
        found = {}
        for key, raw in self._state.quotas():
            with suppress(Internal):
                found[key.removeprefix(keys.QUOTAS)] = decode(Usage, raw)
        return found

    def limits(self, key: str) -> tuple[Limits | None, int]:
        """The limits stored at `key` (of `keys.project_limits` or `keys.class_limits`), with their revision (0: absent)."""
        raw, revision = self._state.raw(key)
        return (decode(Limits, raw) if revision else None), revision

    def images(self, *, committed_by: str | None = None) -> list[ImageEntry]:
        """All wished images, or those a project made of its containers; oldest first."""
        held = self._state.images.values() if committed_by is None else self._state.images_committed_by(committed_by)
        found = [image.entry() for image in held]
        return sorted(found, key=lambda image: (image.wish.created_at, image.wish.uuid))

    def image(self, uuid: str) -> ImageEntry | None:
        """A wished image."""
        image = self._state.images.get(uuid)
        return image.entry() if image is not None else None

    def registries(self, project_id: str | None = None) -> list[RegistryRecord]:
        """Registries (of a project), oldest first."""
        found = [decode(RegistryRecord, raw) for raw in self._state.registries_of(project_id)]
        return sorted(found, key=lambda record: (record.created_at, record.uuid))

    def networks(self) -> list[NetworkRecord]:
        """The networks of the control plane, oldest first."""
        found = [held.record for held in self._state.networks.values()]
        return sorted(found, key=lambda record: (record.created_at, record.uuid))

    def network(self, name: str) -> HeldNetwork | None:
        """A network by its name."""
        return self._state.networks.get(name)

    def registry(self, uuid: str) -> tuple[RegistryRecord, int] | None:
        """A registry with its revision."""
        raw, revision = self._state.raw(keys.registry(uuid))
        return (decode(RegistryRecord, raw), revision) if revision else None

    def raw(self, key: str) -> tuple[bytes | None, int]:
        """The stored bytes and revision (None and 0: absent) of a wish, place, node record, image wish, quota, limit or registry.

        For writers that replace a record and keep the members they do not know. Also of an observation by a node that is not
        the container's place.
        """
        raw, revision = self._state.raw(key)
        return (raw, revision) if revision else (None, 0)

    def project_revision(self, project_id: str | None) -> int:
        """Changes whenever anything visible of the project (None: of any) changed, the liveness of its nodes included."""
        if project_id is None:
            return self._state.any_revision
        return self._state.project_revisions.get(project_id, 0)

    def subscribe(self, since: int | None = None) -> Subscription:
        """Every change after the revision `since` (None: from now on). A `reset` change when some of them are not known any more."""
        return self._feed.subscribe(since)

    def expect(self, uuid: str, request_id: str) -> AbstractContextManager[Expectation]:
        """Be told when a node finished the action `request_id` of container `uuid`. Enter before recording the action."""
        return self._expectations.expect(uuid, request_id)

    async def _follow(self) -> None:
        attempt, listed = 0, False
        while True:
            try:
                if not listed:
                    await self._list()
                    listed = True
                async with self._store.watch(keys.VIEW, from_revision=self.revision + 1) as batches:
                    async for batch in batches:
                        self._take_in(batch)
                        attempt = 0
            except Compacted:
                listed = False
                continue
            except (Unavailable, Timeout) as error:
                if attempt == 0:
                    _LOG.warning("The view does not follow its store for the moment: %s", error.message)
                self._mark_stale()
            await self._clock.sleep(_RETRY.delay(attempt))
            attempt += 1

    async def _list(self) -> None:
        """Bring the state to what the store holds. What changed is told once, as it is now, and at once."""
        revision = await self._store.revision()
        pages = list_differences(self._store, self._state, self.revision, revision)
        if not self._ready.is_set():
            async for page in pages:
                for event in page:
                    self._state.apply(event)
            self._feed.begin(revision)
            self._arrive(revision, [])
            self._ready.set()
            return
        events = [event async for page in pages for event in page]
        events.sort(key=lambda event: event.kv.mod_revision)
        self._arrive(revision, _once_per_revision(self._state, events))

    def _take_in(self, batch: WatchBatch) -> None:
        self._arrive(batch.revision, _once_per_revision(self._state, batch.events))

    def _arrive(self, revision: int, changes: list[Change]) -> None:
        self.revision = max(self.revision, revision)
        self._feed.publish(changes, self.revision)
        if self._store.known_revision() is not None:
            self.stale_since = None
        for waiter, wanted in self._waiters.items():
            if wanted <= self.revision and not waiter.done():
                waiter.set_result(None)

    def _mark_stale(self) -> None:
        if self.stale_since is None:
            self.stale_since = self._clock.now()

    async def _probe(self) -> None:
        """Find out when a store that was away is back; and, when nobody reads, that it is away."""
        while True:
            await self._clock.sleep(PROBE_PAUSE_SECONDS)
            if self.stale_since is None:
                unasked = self._clock.monotonic() - self._shared.answered_at
                if self._ready.is_set() and self._store.known_revision() is None and unasked >= UNASKED_SECONDS:
                    await self.fresh()
                continue
            try:
                await self.at_least(await self._shared.get())
            except (Unavailable, Timeout):
                continue
            self.stale_since = None


def _once_per_revision(state: ViewState, events: Iterable[Event]) -> list[Change]:
    """The changes, each thing once per transaction (a container's wish, place and inbox may change together)."""
    changes: dict[tuple[str, str, int], Change] = {}
    for event in events:
        for change in state.apply(event):
            known = (change.kind, change.id, change.revision)
            before = changes.get(known)
            if before is None or change.deleted:
                changes[known] = change
    return list(changes.values())
