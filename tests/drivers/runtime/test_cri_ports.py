# SPDX-License-Identifier: Apache-2.0
"""Ports of the machine that lead to containers on a real containerd, by the plugin portmap; and to whom they must not lead."""

import asyncio
import socket

import pytest

from lab.ports import free_port
from support import web
from support.cri_runtime import CriHarness
from zun.drivers.runtime.contract_harness import execute, make, run
from zun.drivers.runtime.types import Capability
from zun.model.attachments import PublishedPort
from zun.model.errors import Conflict

pytestmark = pytest.mark.containerd


async def test_a_published_port_leads_to_the_container_also_after_a_restart_and_leaves_no_rule(cri: CriHarness) -> None:
    assert Capability.PUBLISH in (await cri.runtime.containers.fingerprint()).capabilities
    port = PublishedPort(host_port=free_port(), port=80, host_address="127.0.0.1")
    handle = await run(cri, web.SERVES, published=(port,), exposed_ports=["80/tcp"])

    async def is_served() -> bool:
        return await asyncio.to_thread(web.page, port.host_port) == b"hello\n"

    await cri.until(is_served)
    assert (await cri.runtime.containers.inspect(handle)).ports == (80,)
    await cri.runtime.containers.stop(handle, 0)
    assert await asyncio.to_thread(web.page, port.host_port) is None
    await cri.runtime.containers.start(handle)
    await cri.until(is_served)
    await cri.runtime.containers.remove(handle)
    assert cri.ground.engine.rules() == []


async def test_a_port_at_which_something_listens_is_a_conflict_and_that_goes_on_hearing(cri: CriHarness) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = PublishedPort(host_port=listening.getsockname()[1], port=80, host_address="127.0.0.1")
        with pytest.raises(Conflict, match="another program listens there"):
            await make(cri, web.SERVES, published=(port,))
        with socket.create_connection(listening.getsockname()):
            listening.settimeout(10)
            listening.accept()[0].close()


async def test_no_pod_reaches_the_machines_loopback_by_its_bridge(cri: CriHarness) -> None:
    """What ports published there need would open it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.getsockname()[1]
        published = PublishedPort(host_port=free_port(), port=80, host_address="127.0.0.1")
        handle = await run(cri, published=(published,), privileged=True)
        way = (
            "ip addr flush dev lo; echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet;"
            " ip route add 127.0.0.0/8 via $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p');"
            f" ip route; timeout 2 nc 127.0.0.1 {number} </dev/null"
        )
        out, _, _ = await execute(cri, handle, ["sh", "-c", way])
        assert b"127.0.0.0/8 via" in out
        listening.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listening.accept()
