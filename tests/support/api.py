# SPDX-License-Identifier: Apache-2.0
"""The whole REST service over a small world: real services, a store in memory, and clients of several people."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from support import joining
from support.examining import doctor_of
from support.world import World, world_on
from zun.api.app import Around
from zun.api.assembly import Operation, Services, application
from zun.api.metrics import MetricsHandlers, RequestFigures
from zun.api.options import ApiOptions
from zun.api.streams.lifetime import Lifetime
from zun.api.streams.options import StreamOptions
from zun.base.clock import ManualClock
from zun.base.sealing import MasterKey
from zun.drivers.identity.fake import FakeIdentity
from zun.drivers.runtime.types import Capability
from zun.model.caller import Caller
from zun.model.records import Observation, SeenState
from zun.policy.enforcer import Policy
from zun.services.account_keeping import AccountKeeper
from zun.services.consoles import ConsoleGrants
from zun.services.containers import ContainerService
from zun.services.images import ImageService
from zun.services.limits import LimitService
from zun.services.live import LiveService
from zun.services.live_options import LiveOptions
from zun.services.networks import NetworkService
from zun.services.nodelive_fake import FakeDirectory, FakeNode
from zun.services.nodes import NodeService
from zun.services.optimistic import OptimisticWriter
from zun.services.options import ContainerOptions, QuotaOptions
from zun.services.registries import RegistryService
from zun.store.interface import Store
from zun.store.memory import MemoryStore
from zun.store.view_figures import ContainerFigures, ViewFigures
from zun.telemetry.prometheus import CONTENT_TYPE, PrometheusMeter

BASE = "http://zun.test:9517"
NEWEST = "container 1.40"


def _caller(user: str, project: str, *roles: str) -> Caller:
    return Caller(user, project, frozenset(roles), is_admin="admin" in roles)


CALLERS = {
    "member": _caller("u1", "p1", "member"),
    "reader": _caller("u2", "p1", "reader"),
    "nobody": _caller("u3", "p1"),
    "other": _caller("u4", "p2", "member"),
    "admin": _caller("root", "cloud", "admin"),
}


class ApiWorld:
    """People's clients (`member`, `reader`, `other`, `admin`, `stranger`) and the hand that plays leader and node (`world`)."""

    def __init__(
        self, world: World, clock: ManualClock, options: ApiOptions, quota: QuotaOptions, streams: StreamOptions
    ) -> None:
        self.world = world
        self.clock = clock
        self.identity = FakeIdentity(clock, CALLERS)
        self.node = FakeNode()
        self.policy = Policy()
        self.observed: list[tuple[str, str, int]] = []
        store, view, policy = world.store, world.view, self.policy
        writer = OptimisticWriter(store, view, clock)
        key = MasterKey(bytes(32))
        live_options = LiveOptions()
        self.gate = joining.gate(store, policy, clock, key)
        self.containers = ContainerService(
            store,
            view,
            policy,
            clock,
            master_key=key,
            options=ContainerOptions(),
            default_limits=quota.limits(),
        )
        directory = FakeDirectory({"n1": self.node})
        services = Services(
            policy=policy,
            containers=self.containers,
            live=LiveService(view, policy, directory, ConsoleGrants(store, clock, live_options), live_options),
            nodes=NodeService(view, policy, writer, clock, keeper=AccountKeeper(store, self.gate.accounts)),
            images=ImageService(view, policy, writer, clock),
            registries=RegistryService(view, policy, writer, key, clock),
            limits=LimitService(view, policy, writer, quota.limits()),
            networks=NetworkService(store, view, policy, writer, clock),
            doctor=doctor_of(store, view, policy, directory, clock),
            joining=self.gate.service,
        )
        around = Around(self.identity, view, clock, options, self._observe)
        self.lifetime = Lifetime()
        meter = PrometheusMeter()
        meter.watch(ViewFigures(view, store, clock))
        meter.watch(ContainerFigures(view))
        self.figures = RequestFigures(meter)
        self.unhealthy: str | None = None
        operation = Operation(
            metrics=MetricsHandlers(meter.text, CONTENT_TYPE),
            lifetime=self.lifetime,
            streams=streams,
            health=[lambda: self.unhealthy],
        )
        self.app = application(services, around, ContainerOptions(), operation)
        self.member = self.client("member")
        self.reader = self.client("reader")
        self.other = self.client("other")
        self.admin = self.client("admin")
        self.stranger = self.client(None)

    def _observe(self, route: str, method: str, status: int, seconds: float) -> None:
        self.observed.append((route, method, status))
        self.figures.observe(route, method, status, seconds)

    def client(self, who: str | None, version: str | None = NEWEST, **headers: str) -> httpx.AsyncClient:
        """Somebody's client, at a microversion."""
        sent = dict(headers)
        if who is not None:
            sent["X-Auth-Token"] = who
        if version is not None:
            sent["OpenStack-API-Version"] = version
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=BASE, headers=sent)

    def at(self, version: str, who: str = "member") -> httpx.AsyncClient:
        """Somebody's client at version `1.N`."""
        return self.client(who, f"container {version}")

    async def create(self, client: httpx.AsyncClient | None = None, **members: Any) -> dict[str, Any]:
        """Create a container; its view."""
        response = await (client or self.member).post("/v1/containers", json={"image": "busybox"} | members)
        assert response.status_code == 202, response.text
        view: dict[str, Any] = response.json()
        return view

    async def running(self, client: httpx.AsyncClient | None = None, **members: Any) -> str:
        """A container that runs on `n1`; its uuid."""
        uuid: str = (await self.create(client, **members))["uuid"]
        await self.world.running(uuid)
        return uuid

    async def running_capsule(self) -> tuple[str, str]:
        """A capsule of one container, which runs on `n1`; the uuids of both."""
        template = {"kind": "capsule", "metadata": {}, "spec": {"containers": [{"image": "busybox"}]}}
        response = await self.member.post("/v1/capsules", json={"template": template})
        assert response.status_code == 202, response.text
        capsule, inside = response.json()["uuid"], response.json()["containers"][0]["uuid"]
        await self.world.place(capsule)
        child = Observation(inside, 1, SeenState.RUNNING, started_at=self.clock.now())
        await self.world.sees(capsule, SeenState.RUNNING, children=[child])
        return capsule, inside


@asynccontextmanager
async def api_world(
    *,
    options: ApiOptions | None = None,
    quota: QuotaOptions | None = None,
    store: Store | None = None,
    streams: StreamOptions | None = None,
) -> AsyncIterator[ApiWorld]:
    """The service with the node `n1`, as long as the context lasts."""
    clock = ManualClock()
    held = store or MemoryStore(clock)
    async with world_on(held, clock) as world:
        await world.node(capabilities=[str(capability) for capability in Capability])
        api = ApiWorld(world, clock, options or ApiOptions(), quota or QuotaOptions(), streams or StreamOptions())
        running = asyncio.create_task(api.containers.run())
        for _ in range(3):
            await asyncio.sleep(0)  # its own tasks begin
        try:
            yield api
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    await held.close()


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, after a look at its form."""
    assert response.headers["content-type"] == "application/json"
    (entry,) = response.json()["errors"]
    assert entry["status"] == response.status_code
    assert entry["title"]
    assert entry["detail"]
    assert entry["request_id"] == response.headers["x-openstack-request-id"]
    assert isinstance(entry["links"], list)
    code: str = entry["code"]
    return response.status_code, code.partition(".")[2]
