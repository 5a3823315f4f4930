# SPDX-License-Identifier: Apache-2.0
"""Live things of a container: logs, exec, attach, ports, archives, top, stats. What a request means, before a node is asked.

Each call checks policy, then the state table, then talks to the node through `NodeLive`. Calls that answer at once are bounded in time
and size; streams are bounded in memory only. The caller of a stream reads it inside its context: leaving it ends the node's side too.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeVar

import msgspec

from zun.drivers.runtime.base import ByteSession, Tunnel
from zun.drivers.runtime.types import Capability, Chunk, ExecRequest, LogQuery, PathStat, Stats, Top
from zun.model.caller import RequestContext
from zun.model.children import RecordKind
from zun.model.errors import (
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Timeout,
    Unavailable,
    Unsupported,
    ZunError,
    wrong_state,
)
from zun.model.states import Action, Status, allows
from zun.policy.enforcer import Policy
from zun.services.consoles import ConsoleGrants
from zun.services.live_options import LiveOptions
from zun.services.nodelive import NodeDirectory, NodeLive
from zun.store.view import ContainerEntry, View

T = TypeVar("T")

_NODES_TRIED = 3
"""A node that reports may still be out of reach: so many are asked before a search is given up."""


class ExecResult(msgspec.Struct, frozen=True):
    """What an exec gave: output and exit code when it ran at once, else the id and the console token of a prepared command."""

    output: bytes | None = None
    exit_code: int | None = None
    exec_id: str | None = None
    token: str | None = None


class Console(msgspec.Struct, frozen=True):
    """An opened console: the conversation, and what is needed to change its terminal's size."""

    session: ByteSession
    node: NodeLive
    container_uuid: str
    exec_id: str = ""

    async def resize(self, *, width: int, height: int) -> None:
        """Change the size of its terminal."""
        if self.exec_id:
            await self.node.exec_resize(self.container_uuid, self.exec_id, width=width, height=height)
        else:
            await self.node.resize(self.container_uuid, width=width, height=height)


class LiveService:
    """The one way from the API to a node's live things."""

    def __init__(
        self, view: View, policy: Policy, directory: NodeDirectory, grants: ConsoleGrants, options: LiveOptions
    ) -> None:
        self._view = view
        self._policy = policy
        self._directory = directory
        self._grants = grants
        self._options = options

    # Logs

    @asynccontextmanager
    async def logs(
        self, ctx: RequestContext, entry: ContainerEntry, query: LogQuery
    ) -> AsyncIterator[AsyncIterator[Chunk]]:
        """The log as a stream of pieces."""
        node = self._admit(ctx, entry, "container:logs", Action.LOGS)
        async with self._opened(entry, node.logs(entry.uuid, query)) as chunks:
            yield chunks

    async def logs_text(self, ctx: RequestContext, entry: ContainerEntry, query: LogQuery) -> str:
        """The log at once, bytes that are no UTF-8 replaced. Raises `Invalid` (413) when it is longer than allowed."""
        collected = bytearray()
        async with self.logs(ctx, entry, msgspec.structs.replace(query, follow=False)) as chunks:
            async for chunk in self._steady(entry, chunks):
                collected += chunk.data
                if len(collected) > self._options.max_log_bytes:
                    raise _too_large(
                        f"The log of container {entry.uuid} is longer than {self._options.max_log_bytes} bytes. "
                        f"Ask for fewer lines (tail, since), or read GET /v1/containers/{entry.uuid}/logs/stream."
                    )
        return collected.decode("utf-8", "replace")

    # Exec and attach

    async def execute(
        self, ctx: RequestContext, entry: ContainerEntry, request: ExecRequest, *, run: bool, interactive: bool
    ) -> ExecResult:
        """Run a command to its end and return what it printed (`run`), or prepare it and grant a console for it.

        Only a prepared `interactive` command has a stdin. There is no time limit: a caller who stops waiting cancels this. Raises `Invalid` (413) when the output is longer than allowed;
        the command is not stopped then.
        """
        node = self._admit(ctx, entry, "container:execute", Action.EXECUTE)
        if not run:
            await self._view.trusted()  # a console is granted in the store
        request = msgspec.structs.replace(request, stdin=interactive and not run)
        exec_id = await self._bounded(entry, node.exec_create(entry.uuid, request))
        if run:
            return await self._run_to_end(entry, node, exec_id)
        return ExecResult(exec_id=exec_id, token=await self._grant(entry, exec_id))

    async def attach_token(self, ctx: RequestContext, entry: ContainerEntry, *, before_start: bool = False) -> str:
        """A console grant for the container's own process. Raises `Invalid` unless it was made interactive.

        `before_start` also admits one that was made but not started, so that nothing it will print is missed.
        """
        also = frozenset({Status.CREATED}) if before_start else frozenset[Status]()
        self._admit(ctx, entry, "container:attach", Action.ATTACH, also)
        if not entry.record().spec.interactive:
            raise Invalid(
                f"Container {entry.uuid} was not made interactive, so nobody can attach to it. Create it with interactive=true.",
                code="no-interactive-flag",
            )
        return await self._grant(entry)

    async def execute_resize(
        self, ctx: RequestContext, entry: ContainerEntry, exec_id: str, width: int, height: int
    ) -> None:
        """Change the size of a command's terminal. Raises `Invalid` for a command that is not of this container."""
        node = self._admit(ctx, entry, "container:execute_resize", Action.EXECUTE_RESIZE)
        await self._named(entry, node.exec_resize(entry.uuid, exec_id, width=width, height=height))

    async def resize(self, ctx: RequestContext, entry: ContainerEntry, width: int, height: int) -> None:
        """Change the size of the container's terminal."""
        node = self._admit(ctx, entry, "container:resize", Action.RESIZE)
        await self._bounded(entry, node.resize(entry.uuid, width=width, height=height))

    @asynccontextmanager
    async def console(self, token: str, *, container_uuid: str, exec_id: str = "") -> AsyncIterator[Console]:
        """Use up a grant and talk to the process. Raises `Denied` (403) for a bad token, `Conflict` when nothing runs any more."""
        await self._view.trusted()
        grant = await self._grants.redeem(token, container_uuid=container_uuid, exec_id=exec_id)
        await self._view.fresh()
        entry = self._view.seen_by_people(grant.container_uuid)
        if entry is None or entry.project_id != grant.project_id or entry.node != grant.node:
            raise Denied("The container of this console link is gone or was moved; ask for a new link.")
        node = self._directory.live(grant.node)
        context = node.exec_start(entry.uuid, exec_id) if exec_id else node.attach(entry.uuid)
        async with self._opened(entry, context) as session:
            yield Console(session, node, entry.uuid, exec_id)

    # Ports

    def listener(self, ctx: RequestContext, entry: ContainerEntry) -> ContainerEntry:
        """The container through which a container's or a capsule's ports are reached, once the caller may and it can be."""
        self._policy.authorize(ctx.caller, "container:port_forward", project_id=entry.project_id)
        if entry.kind is RecordKind.CAPSULE:
            entry = self._member(entry)
        self._admit(ctx, entry, "container:port_forward", Action.PORT_FORWARD)
        node = self._view.node(entry.node)
        if node is None or node.info is None or Capability.PORT_FORWARD.value not in node.info.capabilities:
            raise Unsupported(
                f"Node {entry.node} cannot connect to ports of its containers; publish the port, or use another node."
            )
        return entry

    @asynccontextmanager
    async def port_forward(self, ctx: RequestContext, entry: ContainerEntry, port: int) -> AsyncIterator[Tunnel]:
        """A connection to a TCP port, of a capsule too. Raises `Conflict` (code `port-refused`) when nothing listens there."""
        listener = self.listener(ctx, entry)
        node = self._directory.live(listener.node)
        async with self._opened(listener, node.port_forward(listener.uuid, port)) as tunnel:
            yield tunnel

    def _member(self, capsule: ContainerEntry) -> ContainerEntry:
        """One of a capsule's containers, which share their ports: one that runs, if any does."""
        found = [child for child in map(self._view.child, capsule.children) if child is not None]
        running = [child for child in found if allows(Action.PORT_FORWARD, self._view.derive(child).status)]
        if not found:
            raise Conflict(f"Capsule {capsule.uuid} is gone; list the capsules.")
        return (running or found)[0]

    # Figures

    async def top(self, ctx: RequestContext, entry: ContainerEntry, ps_args: str | None) -> Top:
        """Its processes."""
        node = self._admit(ctx, entry, "container:top", Action.TOP)
        return await self._bounded(entry, node.top(entry.uuid, ps_args))

    async def stats(self, ctx: RequestContext, entry: ContainerEntry) -> Stats:
        """What it uses now."""
        node = self._admit(ctx, entry, "container:stats", Action.STATS)
        return await self._bounded(entry, node.stats(entry.uuid))

    # Archives

    @asynccontextmanager
    async def get_archive(
        self, ctx: RequestContext, entry: ContainerEntry, path: str
    ) -> AsyncIterator[tuple[PathStat, AsyncIterator[bytes]]]:
        """A tar of `path` as a stream. Raises `Invalid` when there is no such path."""
        node = self._admit(ctx, entry, "container:get_archive", Action.GET_ARCHIVE)
        async with AsyncExitStack() as stack:
            stat, data = await self._named(entry, stack.enter_async_context(node.get_archive(entry.uuid, path)))
            yield stat, self._steady(entry, data)

    async def get_archive_bytes(self, ctx: RequestContext, entry: ContainerEntry, path: str) -> tuple[PathStat, bytes]:
        """A tar of `path` at once. Raises `Invalid` (413) when it is larger than allowed."""
        collected = bytearray()
        async with self.get_archive(ctx, entry, path) as (stat, data):
            async for piece in data:
                collected += piece
                self._check_archive_size(len(collected), "GET", entry)
        return stat, bytes(collected)

    async def put_archive(
        self, ctx: RequestContext, entry: ContainerEntry, path: str, data: AsyncIterator[bytes]
    ) -> None:
        """Unpack a tar that comes as a stream. Raises `Invalid` when `path` is no directory or the data no tar.

        Unbounded in time as long as the data keeps coming: whoever makes `data` bounds that.
        """
        node = self._admit(ctx, entry, "container:put_archive", Action.PUT_ARCHIVE)
        try:
            await node.put_archive(entry.uuid, path, data)
        except NotFound as error:
            raise Invalid(error.message) from error

    async def put_archive_bytes(self, ctx: RequestContext, entry: ContainerEntry, path: str, data: bytes) -> None:
        """Unpack a tar. Raises `Invalid` (413) when it is larger than allowed."""
        node = self._admit(ctx, entry, "container:put_archive", Action.PUT_ARCHIVE)
        self._check_archive_size(len(data), "PUT", entry)
        await self._named(entry, node.put_archive(entry.uuid, path, _pieces(data)))

    async def search_images(self, ctx: RequestContext, term: str, *, exact: bool) -> list[dict[str, object]]:
        """Images of the public registry, asked through a node that is up. Raises `Unavailable` when there is none."""
        self._policy.authorize(ctx.caller, "image:search")
        await self._view.fresh()
        away = Unavailable("No host is up that could ask the registry; try again when one is.")
        try:
            async with asyncio.timeout(self._options.node_timeout_seconds):
                for node in [node.name for node in self._view.nodes() if node.alive][:_NODES_TRIED]:
                    try:
                        return await self._directory.live(node).search_images(term, exact=exact)
                    except Unavailable as error:
                        away = error
        except TimeoutError as error:
            raise Timeout("The registry did not answer in time; try again.") from error
        raise away

    # Behind them all

    def _admit(
        self,
        ctx: RequestContext,
        entry: ContainerEntry,
        rule: str,
        action: Action,
        also: frozenset[Status] = frozenset(),
    ) -> NodeLive:
        self._policy.authorize(ctx.caller, rule, project_id=entry.project_id)
        derived = self._view.derive(entry)
        node = self._view.node(entry.node) if entry.node else None
        if derived.status is Status.UNKNOWN and not (node is not None and node.alive):
            raise Unavailable(f"{derived.reason or 'Its node does not report.'} Try again when the node is back.")
        if node is not None and node.restarting:
            raise Unavailable(f"Node {node.name} restarts; try again in a moment.")
        if not allows(action, derived.status) and derived.status not in also:
            raise wrong_state(action.value, entry.uuid, derived.status.value)
        if not entry.node:
            raise Invalid(
                f"Container {entry.uuid} was never put on a node, so it has nothing to show. See its status_reason."
            )
        return self._directory.live(entry.node)

    async def _run_to_end(self, entry: ContainerEntry, node: NodeLive, exec_id: str) -> ExecResult:
        collected = bytearray()
        async with self._opened(entry, node.exec_start(entry.uuid, exec_id)) as session:
            while (chunk := await session.read()) is not None:
                collected += chunk.data
                if len(collected) > self._options.max_output_bytes:
                    raise _too_large(
                        f"The command printed more than {self._options.max_output_bytes} bytes; it was not stopped. "
                        "Write to a file in the container, or use interactive=true and run=false for a console."
                    )
            exit_code = await self._bounded(entry, session.exit_code())
        return ExecResult(output=bytes(collected), exit_code=exit_code)

    async def _grant(self, entry: ContainerEntry, exec_id: str = "") -> str:
        await self._view.trusted()
        return await self._grants.grant(
            container_uuid=entry.uuid, project_id=entry.project_id, node=entry.node, exec_id=exec_id
        )

    @asynccontextmanager
    async def _opened(self, entry: ContainerEntry, context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
        """Enter a node's context in bounded time; what happens inside is the caller's."""
        async with AsyncExitStack() as stack:
            yield await self._bounded(entry, stack.enter_async_context(context))

    async def _bounded(self, entry: ContainerEntry, call: Awaitable[T]) -> T:
        """A node's answer in bounded time. What is missing there although we know it is a conflict, not a 404."""
        return await self._answered(entry, call, missing=Conflict)

    async def _named(self, entry: ContainerEntry, call: Awaitable[T]) -> T:
        """As `_bounded`, where the caller named something inside the container: if that is missing, the request is wrong."""
        return await self._answered(entry, call, missing=Invalid)

    async def _answered(self, entry: ContainerEntry, call: Awaitable[T], *, missing: type[ZunError]) -> T:
        try:
            async with asyncio.timeout(self._options.node_timeout_seconds):
                return await call
        except TimeoutError as error:
            raise self._silent(entry) from error
        except NotFound as error:
            raise missing(error.message) from error

    async def _steady(self, entry: ContainerEntry, stream: AsyncIterator[T]) -> AsyncIterator[T]:
        """The stream; it must not stall longer than a node may take to answer."""
        while True:
            try:
                async with asyncio.timeout(self._options.node_timeout_seconds):
                    piece = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise self._silent(entry) from error
            yield piece

    def _silent(self, entry: ContainerEntry) -> Timeout:
        limit = self._options.node_timeout_seconds
        return Timeout(
            f"Node {entry.node} did not answer within {limit:g} seconds for container {entry.uuid}. Try again."
        )

    def _check_archive_size(self, size: int, method: str, entry: ContainerEntry) -> None:
        limit = self._options.max_archive_bytes
        if size > limit:
            raise _too_large(
                f"The archive is larger than {limit} bytes. Use {method} /v1/containers/{entry.uuid}/archive, which has no limit."
            )


def _too_large(message: str) -> Invalid:
    return Invalid(message, code="too-large", status=413)


async def _pieces(data: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
