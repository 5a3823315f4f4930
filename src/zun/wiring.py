# SPDX-License-Identifier: Apache-2.0
"""The only place that picks implementations: settings in, a running service out.

`zund all` is the API, the controllers and one node's agent in a single process over one store. Every part lives in one task
group; when one of them fails for good the process ends, and the next start goes on where it stopped.
"""

import asyncio
import gc
import logging
import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from zun.agent.agent import Agent
from zun.agent.identity import NodeIdentity, boot_id, load_identity
from zun.api.app import Around
from zun.api.assembly import Operation, Services, application
from zun.api.health import not_disabled, view_follows
from zun.api.metrics import Metrics
from zun.api.server import listen, serve
from zun.base.clock import Clock, SystemClock
from zun.base.sealing import BadKeyError, MasterKey, NodeKey
from zun.config import Settings
from zun.controllers.leading import Controller
from zun.controllers.reaping.loop import ReapingLoop
from zun.controllers.scheduling.loop import SchedulingLoop
from zun.drivers.identity.static.identity import StaticIdentity
from zun.drivers.identity.static.local import ensure_local_access
from zun.drivers.runtime.base import Runtime
from zun.model.errors import Internal, Unavailable, ZunError
from zun.policy.enforcer import Policy
from zun.services.consoles import ConsoleGrants
from zun.services.containers import ContainerService
from zun.services.images import ImageService
from zun.services.limits import LimitService
from zun.services.live import LiveService
from zun.services.nodelive import NodeLive
from zun.services.nodes import NodeService
from zun.services.optimistic import OptimisticWriter
from zun.services.registries import RegistryService
from zun.store import keys
from zun.store.interface import DeletePrefix, Store
from zun.store.nodelink_store import StoreNodeLink
from zun.store.view import View

_LOG = logging.getLogger(__name__)

Part = Callable[[], Coroutine[object, object, object]]


def tokens_path(settings: Settings) -> Path:
    """Where the token file of static identity lies."""
    return Path(settings.identity.tokens_file or settings.state_dir / "tokens.json")


def run_all(settings: Settings) -> int:
    """Run everything until SIGTERM or SIGINT; containers run on afterwards. Returns the exit code."""
    logging.basicConfig(
        level=settings.log.level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    failed = False
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_told_to_stop(settings))
    except* ZunError as errors:
        failed = True
        for error in _leaves(errors):
            _LOG.error("%s", error)
    return 1 if failed else 0


def _leaves(group: BaseExceptionGroup[ZunError]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


async def _until_told_to_stop(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        house = await _build(settings, stack)
        gc.freeze()  # modules and parts live as long as the process: no collection need look at them, and pause requests
        gc.enable()
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(part(), name=name) for name, part in house.parts.items()]
            _LOG.info("zund is ready on %s; node %s, engine %s", house.url, house.node, house.engine)
            await stop.wait()
            _LOG.info("stopping; containers run on")
            house.end_streams()
            for task in running:
                task.cancel()


@dataclass(frozen=True)
class House:
    """What runs, by name. `end_streams` lets go of those who listen, so that stopping does not wait for them."""

    url: str
    node: str
    engine: str
    parts: dict[str, Part]
    end_streams: Callable[[], None]


class OneNode:
    """The directory of a house with one node in the same process."""

    def __init__(self, node: str, live: NodeLive) -> None:
        self._node = node
        self._live = live

    def live(self, node: str) -> NodeLive:
        """The node's live things. Raises `Unavailable` for a node that is not here."""
        if node != self._node:
            raise Unavailable(
                f"Node {node} is not part of this installation any more; its containers cannot be reached."
            )
        return self._live


async def _build(settings: Settings, stack: AsyncExitStack) -> House:
    clock = SystemClock()
    _prepare(settings.state_dir)
    store = await stack.enter_async_context(_store(settings, clock))
    identity = load_identity(settings.state_dir)
    node = socket.gethostname()
    runtime = await _runtime(settings, identity, clock)
    stack.push_async_callback(runtime.close)
    master_key, node_key = _keys(settings.state_dir)
    view = View(store, clock)
    policy = Policy(settings.policy, clock=clock)
    agent = _agent(
        settings, StoreNodeLink(store, node, clock), runtime=runtime, key=node_key, identity=identity, clock=clock
    )
    services = _services(
        settings,
        store=store,
        view=view,
        policy=policy,
        clock=clock,
        master_key=master_key,
        directory=OneNode(node, agent.live),
    )
    controller = _controller(settings, store, view, clock, master_key)
    listening = listen(settings.api)
    stack.callback(listening.close)
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    access = ensure_local_access(tokens_path(settings), settings.state_dir / "local.json", url)
    callers = StaticIdentity(tokens_path(settings), clock=clock, is_admin=policy.is_admin)
    _LOG.debug("the local access of project %s is in %s", access.project_id, settings.state_dir / "local.json")
    metrics = Metrics(CollectorRegistry(), view, store, clock)
    operation = _operation(settings, metrics, view, clock)
    around = Around(callers, view, clock, settings.api, metrics.observe)
    app = application(services, around, settings.containers, operation)

    async def registration() -> None:
        await agent.ready()
        await view.fresh()
        entry = view.node(node)
        if entry is None or entry.info is None:
            raise Internal(f"Node {node} reported, but the view does not show it.")
        await services.nodes.register(entry.info, node_key.public)

    async def serving() -> None:
        await view.ready()
        await serve(app, settings.api, listening)

    parts: dict[str, Part] = {
        "view": view.run,
        "containers": services.containers.run,
        "controller": controller.run,
        "agent": agent.run,
        "registration": registration,
        "api": serving,
    }
    return House(url, node, runtime.name, parts, operation.lifetime.end)


def _prepare(state_dir: Path) -> None:
    """The directory is there and ours to write. Raises `Unavailable`."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Unavailable(
            f"The state directory {state_dir} cannot be made ({error.strerror}); give another one with --state-dir."
        ) from error
    if not os.access(state_dir, os.R_OK | os.W_OK | os.X_OK):
        raise Unavailable(
            f"The state directory {state_dir} cannot be written by this user; change its owner, or give another one with --state-dir."
        )


def _services(
    settings: Settings,
    *,
    store: Store,
    view: View,
    policy: Policy,
    clock: Clock,
    master_key: MasterKey,
    directory: OneNode,
) -> Services:
    writer = OptimisticWriter(store, view, clock)
    defaults = settings.quota.limits()
    return Services(
        policy=policy,
        containers=ContainerService(
            store, view, policy, clock, master_key=master_key, options=settings.containers, default_limits=defaults
        ),
        live=LiveService(view, policy, directory, ConsoleGrants(store, clock, settings.live), settings.live),
        nodes=NodeService(store, view, policy, writer, clock),
        images=ImageService(view, policy, writer, clock),
        registries=RegistryService(view, policy, writer, master_key, clock),
        limits=LimitService(view, policy, writer, defaults),
    )


def _operation(settings: Settings, metrics: Metrics, view: View, clock: Clock) -> Operation:
    health = [not_disabled(settings.state_dir / "disabled"), view_follows(view, clock)]
    return Operation(metrics=metrics, streams=settings.streams, health=health)


def _agent(
    settings: Settings, link: StoreNodeLink, *, runtime: Runtime, key: NodeKey, identity: NodeIdentity, clock: Clock
) -> Agent:
    return Agent(
        runtime=runtime,
        link=link,
        key=key,
        identity=identity,
        boot_id=boot_id(),
        clock=clock,
        options=settings.compute,
        state_dir=settings.state_dir,
    )


def _controller(settings: Settings, store: Store, view: View, clock: Clock, master_key: MasterKey) -> Controller:
    scheduling = SchedulingLoop(
        store=store,
        view=view,
        clock=clock,
        master_key=master_key,
        options=settings.scheduler,
        rng=random.Random(),  # noqa: S311 - spreads load, guards nothing
    )
    reaping = ReapingLoop(
        store=store,
        view=view,
        clock=clock,
        retention_seconds=settings.containers.history_retention_seconds,
        purge_interval_seconds=settings.controller.purge_interval_seconds,
    )
    return Controller(
        store,
        clock,
        [scheduling, reaping],
        identity=f"{socket.gethostname()}:{os.getpid()}",
        lease_ttl_seconds=settings.controller.lease_ttl_seconds,
        alone=store.known_revision() is not None,  # an embedded store: no other process can lead
    )


def _keys(state_dir: Path) -> tuple[MasterKey, NodeKey]:
    try:
        return MasterKey.load(state_dir / "master.key"), NodeKey.load(state_dir / "node.key")
    except BadKeyError as error:
        raise Internal(str(error)) from error


@asynccontextmanager
async def _store(settings: Settings, clock: Clock) -> AsyncIterator[Store]:
    """The store, closed at the end. Drivers are imported when they are chosen: grpc alone weighs 9 MB."""
    store: Store
    if settings.store.driver == "etcd":
        from zun.store.etcd.store import EtcdStore  # noqa: PLC0415

        store = await EtcdStore.connect(settings.store.endpoint, clock)
    elif settings.store.driver == "memory":
        from zun.store.memory import MemoryStore  # noqa: PLC0415

        store = MemoryStore(clock)
    else:
        from zun.store.sqlite import SqliteStore  # noqa: PLC0415

        store = await SqliteStore.open(settings.state_dir / "state.db", clock)
        # The file lock says that no other process leads; a predecessor that was killed need not be waited for.
        await store.transact([], [DeletePrefix(keys.LEADERS)])
    try:
        yield store
    finally:
        await store.close()


async def _runtime(settings: Settings, identity: NodeIdentity, clock: Clock) -> Runtime:
    if settings.runtime.driver == "fake":
        from zun.drivers.runtime.fake.runtime import FakeRuntime  # noqa: PLC0415

        return FakeRuntime(clock, owner=identity.owner)
    from zun.drivers.runtime.docker.runtime import DockerRuntime  # noqa: PLC0415

    return await DockerRuntime.open(settings.docker, owner=identity.owner, clock=clock)
