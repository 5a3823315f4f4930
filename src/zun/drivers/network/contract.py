# SPDX-License-Identifier: Apache-2.0
"""What whoever plugs in sandboxes must do, as tests.

Derive a test class from `NetworkContract` where the fixture `site` exists: networks with sandboxes that really start and end.
"""

from typing import Protocol

import pytest

from zun.drivers.network.base import Networks
from zun.model.attachments import Attachment, SandboxNetwork
from zun.model.errors import Conflict, NotFound


class Site(Protocol):
    """One per test, with networks nobody else uses."""

    networks: Networks

    def attachment(self, ifname: str, network: int, address: int) -> Attachment:
        """An interface on one of two networks (0, 1), with the n-th address there."""

    def key(self) -> str:
        """The key of a sandbox that was not there before."""

    async def start(self, key: str) -> None:
        """The engine makes the sandbox, as it was prepared."""

    async def plugged(self, key: str) -> dict[str, set[str]]:
        """What a sandbox that runs is plugged into, as far from our own word as can be: its networks with the addresses there."""


class NetworkContract:
    """The whole contract."""

    async def test_a_sandbox_starts_on_the_networks_it_was_prepared_for(self, site: Site) -> None:
        first, second = site.attachment("eth0", 0, 1), site.attachment("eth1", 1, 1)
        key = await _started(site, first, second)
        assert await site.plugged(key) == _told(first, second)

    async def test_what_was_prepared_last_counts(self, site: Site) -> None:
        key, wanted = site.key(), site.attachment("eth0", 1, 2)
        await site.networks.prepare(SandboxNetwork(key, (site.attachment("eth0", 0, 1),)))
        await site.networks.prepare(SandboxNetwork(key, (wanted,)))
        await site.start(key)
        assert await site.plugged(key) == _told(wanted)

    async def test_one_more_network_is_there_at_once(self, site: Site) -> None:
        first, second = site.attachment("eth0", 0, 1), site.attachment("eth1", 1, 1)
        key = await _started(site, first)
        await site.networks.attach(key, second)
        assert await site.plugged(key) == _told(first, second)

    async def test_a_network_that_is_left_is_gone_at_once_and_may_come_back(self, site: Site) -> None:
        first, second = site.attachment("eth0", 0, 1), site.attachment("eth1", 1, 1)
        key = await _started(site, first, second)
        await site.networks.detach(key, second.network)
        assert await site.plugged(key) == _told(first)
        await site.networks.attach(key, second)
        assert await site.plugged(key) == _told(first, second)

    async def test_what_it_is_plugged_into_can_be_asked(self, site: Site) -> None:
        first, second = site.attachment("eth0", 0, 1), site.attachment("eth1", 1, 1)
        key = await _started(site, first)
        assert (await site.networks.prepared(key)).attachments == (first,)
        await site.networks.attach(key, second)
        await site.networks.detach(key, first.network)
        assert (await site.networks.prepared(key)).attachments == (second,)
        with pytest.raises(NotFound):
            await site.networks.prepared(site.key())

    async def test_a_network_is_attached_once(self, site: Site) -> None:
        first = site.attachment("eth0", 0, 1)
        key = await _started(site, first)
        with pytest.raises(Conflict):
            await site.networks.attach(key, site.attachment("eth1", 0, 2))
        assert await site.plugged(key) == _told(first)

    async def test_an_address_that_is_taken_changes_nothing(self, site: Site) -> None:
        await _started(site, site.attachment("eth0", 1, 1))
        first = site.attachment("eth0", 0, 1)
        key = await _started(site, first)
        with pytest.raises(Conflict):
            await site.networks.attach(key, site.attachment("eth1", 1, 1))
        assert await site.plugged(key) == _told(first)

    async def test_a_network_it_is_not_on_cannot_be_left(self, site: Site) -> None:
        key = await _started(site, site.attachment("eth0", 0, 1))
        with pytest.raises(NotFound):
            await site.networks.detach(key, site.attachment("eth1", 1, 1).network)

    async def test_a_sandbox_that_nobody_prepared_has_no_networks(self, site: Site) -> None:
        with pytest.raises(NotFound):
            await site.networks.attach(site.key(), site.attachment("eth0", 0, 1))
        with pytest.raises(NotFound):
            await site.networks.detach(site.key(), "n")

    async def test_who_was_released_is_unknown_and_the_addresses_are_free(self, site: Site) -> None:
        first = site.attachment("eth0", 0, 1)
        key = await _started(site, first)
        assert key in await site.networks.known()
        await site.networks.release(key)
        await site.networks.release(key)
        assert key not in await site.networks.known()
        other = await _started(site, first)
        assert await site.plugged(other) == _told(first)


async def _started(site: Site, *attachments: Attachment) -> str:
    key = site.key()
    await site.networks.prepare(SandboxNetwork(key, attachments))
    await site.start(key)
    return key


def _told(*attachments: Attachment) -> dict[str, set[str]]:
    return {one.network: {address.addr for address in one.addresses} for one in attachments}
