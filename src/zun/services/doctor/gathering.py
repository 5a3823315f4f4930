# SPDX-License-Identifier: Apache-2.0
"""Looks at everything, each thing within a bounded time: what does not answer is a fact like any other."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from zun import __version__
from zun.base.clock import Clock
from zun.base.side_by_side import side_by_side
from zun.model.errors import Timeout, Unavailable, ZunError
from zun.model.process import ProcessRecord
from zun.services.doctor.facts import Facts, NodeFacts, StoreFacts, Survey
from zun.services.doctor.options import DoctorOptions
from zun.services.doctor.surveying import Raws, survey
from zun.services.nodelive import NodeDescription, NodeDirectory
from zun.services.processes import Describe, processes
from zun.store import keys
from zun.store.health import MemberHealth
from zun.store.interface import Compacted, Store
from zun.store.view import ContainerEntry, NodeEntry, View

Members = Callable[[], Awaitable[Sequence[MemberHealth]]]
"""How each server or file behind the store is. Takes some seconds at most; raises `ZunError` when that cannot be found out."""


class Gathering:
    """Gathers `Facts`. `own`: what this process says of itself; `driver` is the store's."""

    def __init__(
        self,
        *,
        store: Store,
        view: View,
        directory: NodeDirectory,
        clock: Clock,
        options: DoctorOptions,
        driver: str,
        members: Members,
        own: Describe,
    ) -> None:
        self._store = store
        self._view = view
        self._directory = directory
        self._clock = clock
        self._options = options
        self._driver = driver
        self._members = members
        self._own = own

    async def facts(self) -> Facts:
        """All of them. Never takes much longer than `total_seconds`."""
        end = self._clock.monotonic() + self._options.total_seconds
        store = await self._of_store()
        running, leader = await self._control_plane(well=not store.trouble)
        left_out: list[str] = []
        nodes = await self._of_nodes(end, left_out)
        found = await self._survey(end, left_out)
        return Facts(
            at=self._clock.now(),
            version=__version__,
            store=store,
            leader=leader,
            processes=tuple(running),
            nodes=tuple(nodes),
            survey=found,
            left_out=tuple(left_out),
        )

    async def _of_store(self) -> StoreFacts:
        trouble, took, revision, oldest = "", 0.0, 0, 0
        members = await self._of_members()
        try:
            async with asyncio.timeout(self._options.node_seconds):
                begun = self._clock.monotonic()
                revision = await self._store.revision()
                took = self._clock.monotonic() - begun
                oldest = await self._oldest()
        except (Unavailable, Timeout) as error:
            trouble = error.message
        except TimeoutError:
            trouble = f"it said nothing for {self._options.node_seconds:g} seconds"
        return StoreFacts(
            driver=self._driver,
            trouble=trouble.rstrip("."),
            asked_seconds=0.0 if trouble else took,
            stale_since=self._view.stale_since,
            revision=revision,
            oldest_revision=oldest,
            members=members,
        )

    async def _of_members(self) -> tuple[MemberHealth, ...]:
        try:
            async with asyncio.timeout(self._options.total_seconds / 2):
                return tuple(await self._members())
        except (ZunError, TimeoutError):
            return ()  # the store itself says what is wrong

    async def _oldest(self) -> int:
        try:
            await self._store.get(keys.SCHEMA, revision=1)
        except Compacted as compacted:
            return compacted.compact_revision
        return 1

    async def _control_plane(self, *, well: bool) -> tuple[list[ProcessRecord], str]:
        """Who runs, and who leads; with the store away this process alone is known."""
        own, others, leader = await self._own(), [], ""
        if well:
            try:
                async with asyncio.timeout(self._options.node_seconds):
                    others = await processes(self._store)
                    leads = (await self._store.range(keys.LEADERS)).items
                    leader = leads[0].value.decode(errors="replace") if leads else ""
            except (Unavailable, Timeout, TimeoutError):
                pass  # it went away just now
        mine = (own.role, own.identity)
        return [own, *(other for other in others if (other.role, other.identity) != mine)], leader

    async def _of_nodes(self, end: float, left_out: list[str]) -> list[NodeFacts]:
        entries = self._view.nodes()

        async def ask(entry: NodeEntry) -> NodeFacts | None:
            return await self._of_node(entry) if self._clock.monotonic() < end else None

        found = await side_by_side(entries, ask, at_once=self._options.nodes_at_once)
        missed = sum(1 for one in found if one is None)
        if missed:
            left_out.append(f"{missed} nodes were not asked for want of time; raise [doctor] total_seconds")
        return [one if one is not None else self._told(entry, None) for entry, one in zip(entries, found, strict=True)]

    async def _of_node(self, entry: NodeEntry) -> NodeFacts:
        if not entry.alive or entry.restarting or entry.record is None:
            return self._told(entry, None)
        begun = self._clock.now()
        try:
            async with asyncio.timeout(self._options.node_seconds):
                said = await self._directory.live(entry.name).describe()
        except ZunError as error:
            return self._told(entry, None, trouble=error.message)
        except TimeoutError:
            return self._told(entry, None, trouble=f"it said nothing for {self._options.node_seconds:g} seconds")
        return self._told(entry, said, asked=(begun, self._clock.now()))

    def _told(
        self,
        entry: NodeEntry,
        said: NodeDescription | None,
        *,
        asked: tuple[float, float] = (0.0, 0.0),
        trouble: str = "",
    ) -> NodeFacts:
        """What the view knows of a node, and what the node said between two moments of our clock."""
        record, info = entry.record, entry.info
        ends_at = said.certificate_expires_at if said is not None else info.certificate_expires_at if info else None
        return NodeFacts(
            name=entry.name,
            alive=entry.alive,
            registered=record is not None,
            disabled=record is not None and record.disabled,
            disabled_reason=(record.disabled_reason or "") if record is not None else "",
            forced_down=record is not None and record.forced_down,
            draining=record is not None and record.draining,
            restarting=entry.restarting,
            seen_at=info.at if info is not None else None,
            containers=len(list(self._view.containers(node=entry.name))),
            version=said.version if said is not None else info.version if info is not None else "",
            engine_error=said.engine_error if said is not None else "",
            streams=trouble,
            ahead_seconds=said.at - sum(asked) / 2 if said is not None else None,
            doubt_seconds=(asked[1] - asked[0]) / 2,
            certificate_expires_at=ends_at,
            state_free_mib=info.state_free_mib if info is not None else None,
            strays=info.strays if info is not None else 0,
            named_strays=tuple(info.named_strays) if info is not None else (),
        )

    async def _survey(self, end: float, left_out: list[str]) -> Survey | None:
        if self._clock.monotonic() >= end:
            left_out.append("containers were not looked at for want of time; raise [doctor] total_seconds")
            return None
        containers = [
            self._raws(entry) for entry in self._view.by_age(None)
        ]  # with the usages at one revision: no await between
        usages = self._view.usages()
        at, waiting = self._clock.now(), self._options.waiting_seconds
        return await asyncio.to_thread(survey, containers, usages, at=at, waiting_seconds=waiting)

    def _raws(self, entry: ContainerEntry) -> Raws:
        node = self._view.node(entry.node)
        return Raws(
            entry.uuid,
            entry.wish_raw,
            entry.place_raw if entry.place_revision else None,
            entry.seen_raw if entry.seen_revision else None,
            node_alive=node is not None and node.alive,
        )
