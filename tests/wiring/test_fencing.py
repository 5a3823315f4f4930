# SPDX-License-Identifier: Apache-2.0
"""A leader that was frozen while its write was under way: another leads when the write arrives, and nothing else has changed."""

from collections.abc import AsyncIterator, Iterator

import pytest

from support.held_link import HeldLink
from support.roles import Cluster, cluster, create, running
from support.service import eventually
from zun.base.clock import SystemClock
from zun.controllers.leading import ROLE
from zun.model.records import Place
from zun.store import codec, keys
from zun.store.election import Election
from zun.store.etcd.store import EtcdStore

pytestmark = pytest.mark.etcd

USURPER = "whoever-leads-and-does-nothing"


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An etcd."""
    with cluster(tmp_path_factory.mktemp("fenced")) as made:
        yield made


@pytest.fixture
def link(house: Cluster) -> Iterator[HeldLink]:
    """A way to that etcd on which requests can be held."""
    made = HeldLink(int(house.endpoint.rpartition(":")[2]))
    yield made
    made.close()


@pytest.fixture
async def store(house: Cluster) -> AsyncIterator[EtcdStore]:
    """The store as this test sees it."""
    made = await EtcdStore.connect(house.endpoint, SystemClock())
    yield made
    await made.close()


def is_whole(held: bytes, uuid: str) -> bool:
    """Whether a placement is held, to its last words: the question who leads, should it be refused."""
    return held.rfind(keys.leader(ROLE).encode()) > held.rfind(keys.place(uuid).encode()) > 0


async def test_the_write_of_a_leader_that_was_replaced_meanwhile_is_refused_for_that_reason_alone(
    house: Cluster, link: HeldLink, store: EtcdStore
) -> None:
    old = house.controller("old", f"[store]\nendpoint = 127.0.0.1:{link.port}\n[controller]\nlease_ttl_seconds = 5\n")
    api, node = house.api("api"), house.compute("n1")
    for role in (api, node, old):
        role.start()
    with api.client() as client:
        running(client, create(client, name="before"))

        link.hold()
        uuid = create(client, name="in-flight")
        eventually(lambda: is_whole(link.held(), uuid), "the old leader's write is under way")
        old.freeze()
        # The next leader touches nothing: whatever else the old leader's write compares still holds.
        usurper = await Election(store, ROLE, USURPER, 60, SystemClock()).campaign()
        eventually(lambda: link.heard(USURPER.encode()) == 1, "the old leader is told, but sleeps")
        link.release()

        answered = False
        while not answered and await store.get(keys.place(uuid)) is None:
            answered = link.heard(USURPER.encode()) == 2  # a refused write is answered with who leads
        assert await store.get(keys.place(uuid)) is None, "the old leader's write was taken"

        old.thaw()
        old.until_it_says("This process leads no longer")
        assert await store.get(keys.place(uuid)) is None
        assert old.complaints() == []
        await usurper.resign()
        running(client, uuid)
    found = await store.get(keys.place(uuid))
    assert found is not None
    assert (found.version, codec.decode(Place, found.value).generation) == (1, 1)
