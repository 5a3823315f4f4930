# SPDX-License-Identifier: Apache-2.0
"""Whoever plugs in sandboxes keeps the contract: the fake, the engine's own networks, and zun-cni with its daemon."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.network_machine import Machine, Sandbox, machine, network_attachment
from zun.base.ids import new_uuid
from zun.drivers.network.cni.client import DaemonClient
from zun.drivers.network.cni.networks import CniNetworks
from zun.drivers.network.contract import NetworkContract
from zun.drivers.network.engine.networks import EngineNetworks
from zun.drivers.network.fake import FakeNetworks
from zun.model.attachments import Attachment, SandboxNetwork, sandbox_key
from zun.model.errors import Conflict, NotFound, Unavailable


class _Site:
    """Two networks, and keys."""

    def attachment(self, ifname: str, network: int, address: int) -> Attachment:
        return network_attachment(1 + network, address, ifname=ifname)

    def key(self) -> str:
        return sandbox_key(new_uuid(), 1)


class _FakeSite(_Site):
    def __init__(self) -> None:
        self.networks = FakeNetworks()

    async def start(self, key: str) -> None:
        self.networks.running.add(key)

    async def plugged(self, key: str) -> dict[str, set[str]]:
        attachments = self.networks.sandboxes[key].attachments
        return {one.network: {address.addr for address in one.addresses} for one in attachments}


class TestFake(NetworkContract):
    @pytest.fixture
    def site(self) -> _FakeSite:
        return _FakeSite()


class _Engine:
    """An engine that plugs in what it makes."""

    def __init__(self) -> None:
        self.plugged: dict[str, dict[str, set[str]]] = {}

    async def plug(self, key: str, network: str, v4: str | None, v6: str | None) -> None:
        wanted = {address for address in (v4, v6) if address}
        others = (networks for other, networks in self.plugged.items() if other != key)
        if any(wanted & networks.get(network, set()) for networks in others):
            raise Conflict("The address is in use.")
        self.plugged[key][network] = wanted

    async def unplug(self, key: str, network: str) -> None:
        if network not in self.plugged[key]:
            raise NotFound("It is not on that network.")
        del self.plugged[key][network]


class _ToldNetworks(EngineNetworks):
    """Remembers what the engine would be told when it makes a container."""

    def __init__(self, engine: _Engine) -> None:
        super().__init__(engine)
        self.told: dict[str, SandboxNetwork] = {}

    async def prepare(self, sandbox: SandboxNetwork) -> None:
        await super().prepare(sandbox)
        self.told[sandbox.key] = sandbox


class _EngineSite(_Site):
    def __init__(self) -> None:
        self.engine = _Engine()
        self.networks = _ToldNetworks(self.engine)

    async def start(self, key: str) -> None:
        wanted = self.networks.told[key].attachments
        self.engine.plugged[key] = {one.network: {address.addr for address in one.addresses} for one in wanted}

    async def plugged(self, key: str) -> dict[str, set[str]]:
        return self.engine.plugged[key]


class TestEngine(NetworkContract):
    @pytest.fixture
    def site(self) -> _EngineSite:
        return _EngineSite()


class _CniSite(_Site):
    def __init__(self, made: Machine) -> None:
        self._machine = made
        self._sandboxes: dict[str, Sandbox] = {}
        self.networks = _FromInside(made)

    async def start(self, key: str) -> None:
        known = self._machine.spool.read(key)
        sandbox = await asyncio.to_thread(self._machine.sandbox, *known.attachments, key=key)
        self._sandboxes[key] = sandbox
        await asyncio.to_thread(sandbox.add)

    async def plugged(self, key: str) -> dict[str, set[str]]:
        interfaces = await asyncio.to_thread(self._sandboxes[key].namespace.addresses)
        return {
            f"net{next(iter(one for one in held if '.' in one)).split('.')[1]}": held for held in interfaces.values()
        }


class _FromInside(CniNetworks):
    """The driver, its calls carried out in the machine's namespace, where the daemon listens."""

    def __init__(self, made: Machine) -> None:
        super().__init__(made.state, _ClientInside(made))


class _ClientInside(DaemonClient):
    def __init__(self, made: Machine) -> None:
        super().__init__(made.state / "cni" / "endpoint", seconds=30)
        self._machine = made

    async def _ask(self, path: str, body: bytes) -> bytes:
        work = super()._ask
        return await asyncio.to_thread(self._machine.host.do, lambda: asyncio.run(work(path, body)))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, needs_root: None) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine")) as made:
        yield made


@pytest.mark.network
class TestCni(NetworkContract):
    @pytest.fixture
    def site(self, daemon: Machine) -> Iterator[_CniSite]:
        yield _CniSite(daemon)
        daemon.forget_sandboxes()


async def test_without_a_daemon_nothing_is_said_to_be_done(tmp_path: Path) -> None:
    networks = CniNetworks(tmp_path)
    key = sandbox_key(new_uuid(), 1)
    with pytest.raises(Unavailable, match="cni-daemon"):
        await networks.release(key)
