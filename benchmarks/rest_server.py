# SPDX-License-Identifier: Apache-2.0
"""The two servers of the REST benchmark, each in a process of its own, told by lines on standard input.

    rest_server.py baseline SIZE…   a bare ASGI application; `/SIZE` answers a constant body of that many bytes
    rest_server.py zun DIRECTORY    the service over the embedded store; `churn N` changes N containers a second

Both print one line of JSON when they serve, and end with their standard input.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.examining import doctor_of
from support.records import node_info, record
from zun.api.app import Around
from zun.api.assembly import Services, application
from zun.api.options import ApiOptions
from zun.api.server import listen, serve
from zun.base.clock import SystemClock
from zun.base.sealing import MasterKey
from zun.drivers.identity.static.identity import StaticIdentity
from zun.drivers.identity.static.tokens import add_user
from zun.model.records import Address, NodeRecord, Observation, Place, SeenState
from zun.policy.enforcer import Policy
from zun.services.consoles import ConsoleGrants
from zun.services.containers import ContainerService
from zun.services.images import ImageService
from zun.services.limits import LimitService
from zun.services.live import LiveService
from zun.services.live_options import LiveOptions
from zun.services.networks import NetworkService
from zun.services.nodelive_fake import FakeDirectory
from zun.services.nodes import NodeService
from zun.services.optimistic import OptimisticWriter
from zun.services.options import ContainerOptions, QuotaOptions
from zun.services.registries import RegistryService
from zun.store import codec, keys
from zun.store.interface import Op, Put
from zun.store.sqlite import SqliteStore
from zun.store.view import View

PROJECTS = {"hundred": 100, "thousand": 1000}
NODE = "n1"
BATCH = 25


async def baseline(sizes: list[int]) -> None:
    """Constant bodies."""
    bodies = {f"/{size}": b"x" * size for size in sizes}

    async def app(scope: Any, _: Any, send: Any) -> None:
        body = bodies[scope["path"]]
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    await _serve(app, {})


def _observation(container: str, now: float) -> Observation:
    return Observation(
        container,
        1,
        SeenState.RUNNING,
        intent_done=2,
        runtime_id="0" * 64,
        created_at=now,
        started_at=now - 100_000,
        addresses=[Address("net-1", "172.17.0.2", 4)],
        image_command=["sh"],
        at=now,
    )


async def populate(store: SqliteStore, now: float) -> dict[str, list[str]]:
    """Running containers of two projects on one node."""
    info, node = node_info(NODE), NodeRecord(NODE, 1, now)
    await store.transact(
        [],
        [
            Put(keys.node(NODE), codec.encode(node)),
            Put(keys.node_info(NODE), codec.encode(info)),
            Put(keys.node_alive(NODE), b"{}"),
        ],
    )
    made: dict[str, list[str]] = {}
    for project, count in PROJECTS.items():
        ops: list[Op] = []
        for number in range(count):
            wish = record(project, name=f"web-{number:04}", at=now + number / 1000)
            environment = {"MODE": "production", "NUMBER": str(number)}
            spec = msgspec.structs.replace(wish.spec, labels={"tier": "web"}, environment=environment)
            wish = msgspec.structs.replace(wish, spec=spec)
            made.setdefault(project, []).append(wish.uuid)
            ops += [
                Put(keys.container(wish.uuid), codec.encode(wish)),
                Put(keys.place(wish.uuid), codec.encode(Place(wish.uuid, NODE, 1, now))),
                Put(keys.observation(NODE, wish.uuid), codec.encode(_observation(wish.uuid, now))),
            ]
            if len(ops) >= 3 * BATCH:
                await store.transact([], ops)
                ops = []
        await store.transact([], ops)
    return made


async def churn(store: SqliteStore, containers: list[str], per_second: list[float]) -> None:
    """Report on `per_second[0]` containers a second, evenly."""
    clock, number = SystemClock(), 0
    while True:
        if not per_second[0]:
            await clock.sleep(0.02)
            continue
        await clock.sleep(1 / per_second[0])
        container = containers[number % len(containers)]
        number += 1
        seen = _observation(container, clock.now())
        await store.transact([], [Put(keys.observation(NODE, container), codec.encode(seen))])


async def zun(directory: Path) -> None:
    """The service with its real identity, policy, view and embedded store."""
    clock = SystemClock()
    policy = Policy()
    tokens = {project: add_user(directory / "tokens.json", project) for project in PROJECTS}
    identity = StaticIdentity(directory / "tokens.json", clock=clock, is_admin=policy.is_admin)
    store = await SqliteStore.open(directory / "store.db", clock)
    made = await populate(store, clock.now())
    view = View(store, clock)
    writer = OptimisticWriter(store, view, clock)
    key, defaults, live_options = MasterKey(bytes(32)), QuotaOptions().limits(), LiveOptions()
    containers = ContainerService(
        store, view, policy, clock, master_key=key, options=ContainerOptions(), default_limits=defaults
    )
    services = Services(
        policy=policy,
        containers=containers,
        live=LiveService(view, policy, FakeDirectory(), ConsoleGrants(store, clock, live_options), live_options),
        nodes=NodeService(view, policy, writer, clock),
        images=ImageService(view, policy, writer, clock),
        registries=RegistryService(view, policy, writer, key, clock),
        limits=LimitService(view, policy, writer, defaults),
        networks=NetworkService(store, view, policy, writer, clock),
        doctor=doctor_of(store, view, policy, FakeDirectory(), clock),
    )
    app = application(services, Around(identity, view, clock, ApiOptions()), ContainerOptions())
    rate = [0.0]
    async with asyncio.TaskGroup() as tasks:
        background = [
            tasks.create_task(view.run()),
            tasks.create_task(containers.run()),
            tasks.create_task(churn(store, made["thousand"], rate)),
        ]
        await view.ready()
        await _serve(app, {"tokens": tokens, "containers": made}, rate)
        for task in background:
            task.cancel()
    await store.close()


async def _serve(app: Any, facts: dict[str, Any], rate: list[float] | None = None) -> None:
    options = ApiOptions(port=0)
    listening = listen(options)
    serving = asyncio.create_task(serve(app, options, listening))
    print(json.dumps({"port": listening.getsockname()[1]} | facts), flush=True)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        if rate is not None and line.startswith(b"churn "):
            rate[0] = float(line.split()[1])
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


def main() -> None:
    """Pick the server."""
    kind, *arguments = sys.argv[1:]
    work = baseline([int(size) for size in arguments]) if kind == "baseline" else zun(Path(arguments[0]))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


if __name__ == "__main__":
    main()
