# SPDX-License-Identifier: Apache-2.0
"""The contract's part about sandboxes and the containers in them."""

# ruff: noqa: S101
import pytest

from zun.base.ids import new_uuid
from zun.drivers.runtime.base import Pods
from zun.drivers.runtime.contract_harness import (
    WAITS,
    RuntimeHarness,
    becomes,
    ended,
    execute,
    log_of,
    make,
    needs,
    run,
)
from zun.drivers.runtime.types import (
    Capability,
    Channel,
    NetworkRequest,
    RuntimeEvent,
    RuntimeEventKind,
    SandboxRequest,
)
from zun.model.errors import Conflict, NotFound
from zun.model.records import SeenState


async def pods_of(harness: RuntimeHarness) -> Pods:
    """The runtime's sandboxes. Who has none says so in its capabilities."""
    await needs(harness, Capability.CAPSULES)
    pods = harness.runtime.pods
    assert pods is not None
    return pods


async def sandbox(harness: RuntimeHarness, uuid: str, **fields: object) -> str:
    """A sandbox."""
    told: dict[str, object] = {"uuid": uuid, "generation": 1, "project_id": "p"}
    return await (await pods_of(harness)).create_sandbox(SandboxRequest(**(told | fields)))  # type: ignore[arg-type]


class PodContract:
    """Sandboxes are made, found again and removed; containers join them."""

    async def test_a_sandbox_is_ready_and_has_an_address(self, harness: RuntimeHarness) -> None:
        pods, uuid = await pods_of(harness), new_uuid()
        handle = await sandbox(harness, uuid, generation=3)
        seen = await pods.inspect_sandbox(handle)
        assert (seen.handle, seen.uuid, seen.generation, seen.ready) == (handle, uuid, 3, True)
        assert seen.addresses[0].version == 4
        assert seen.created_at is not None

    async def test_making_the_same_sandbox_again_gives_the_same_handle(self, harness: RuntimeHarness) -> None:
        uuid = new_uuid()
        assert await sandbox(harness, uuid) == await sandbox(harness, uuid)
        assert await sandbox(harness, uuid, generation=2) != await sandbox(harness, uuid)

    async def test_sandboxes_are_no_containers_and_are_found_after_a_restart(self, harness: RuntimeHarness) -> None:
        await pods_of(harness)
        uuid = new_uuid()
        handle = await sandbox(harness, uuid)
        again = (await harness.reopen()).pods
        assert again is not None
        assert handle in {seen.handle for seen in await again.list_sandboxes()}
        listed = await harness.runtime.containers.list()
        assert handle not in {seen.handle for seen in listed}
        assert uuid not in {seen.uuid for seen in listed}

    async def test_those_of_one_capsule_are_listed_by_themselves(self, harness: RuntimeHarness) -> None:
        pods, uuid = await pods_of(harness), new_uuid()
        wanted = {await sandbox(harness, uuid), await sandbox(harness, uuid, generation=2)}
        await sandbox(harness, new_uuid())
        assert {seen.handle for seen in await pods.list_sandboxes(uuid)} == wanted
        assert await pods.list_sandboxes(new_uuid()) == []

    async def test_another_owner_sees_no_sandbox(self, harness: RuntimeHarness) -> None:
        handle = await sandbox(harness, new_uuid())
        stranger = (await harness.stranger()).pods
        assert stranger is not None
        assert await stranger.list_sandboxes() == []
        with pytest.raises(NotFound):
            await stranger.inspect_sandbox(handle)
        await stranger.remove_sandbox(handle)
        assert (await (await pods_of(harness)).inspect_sandbox(handle)).ready

    async def test_containers_in_it_say_whose_they_are(self, harness: RuntimeHarness) -> None:
        capsule, child = new_uuid(), new_uuid()
        handle = await sandbox(harness, capsule)
        made = await run(harness, uuid=child, sandbox=handle, capsule=capsule)
        seen = await harness.runtime.containers.inspect(made)
        assert (seen.uuid, seen.capsule, seen.state) == (child, capsule, SeenState.RUNNING)
        assert seen in await harness.runtime.containers.list()
        plain = await harness.runtime.containers.inspect(await make(harness, WAITS))
        assert plain.capsule == ""

    async def test_containers_in_it_end_and_start_again_by_themselves(self, harness: RuntimeHarness) -> None:
        capsule = new_uuid()
        handle = await sandbox(harness, capsule)
        one = await run(harness, ["sh", "-c", "echo said; exit 4"], sandbox=handle, capsule=capsule)
        other = await run(harness, sandbox=handle, capsule=capsule)
        assert (await ended(harness, one)).exit_code == 4
        assert (await log_of(harness, one))[Channel.STDOUT] == b"said\n"
        await harness.runtime.containers.start(one)
        assert (await ended(harness, one)).exit_code == 4
        assert (await harness.runtime.containers.inspect(other)).state is SeenState.RUNNING
        assert (await execute(harness, other, ["echo", "hello"]))[0] == b"hello\n"
        assert (await (await pods_of(harness)).inspect_sandbox(handle)).ready

    async def test_a_container_needs_its_sandbox(self, harness: RuntimeHarness) -> None:
        pods, capsule = await pods_of(harness), new_uuid()
        handle = await sandbox(harness, capsule)
        await pods.remove_sandbox(handle)
        with pytest.raises((NotFound, Conflict)):
            await run(harness, sandbox=handle, capsule=capsule)

    async def test_removing_it_takes_what_is_in_it_and_then_nothing(self, harness: RuntimeHarness) -> None:
        pods, capsule = await pods_of(harness), new_uuid()
        handle = await sandbox(harness, capsule)
        running = await run(harness, sandbox=handle, capsule=capsule)
        created = await make(harness, WAITS, sandbox=handle, capsule=capsule)
        outside = await run(harness)
        await pods.remove_sandbox(handle)
        await pods.remove_sandbox(handle)
        for gone in (running, created):
            with pytest.raises(NotFound):
                await harness.runtime.containers.inspect(gone)
        with pytest.raises(NotFound):
            await pods.inspect_sandbox(handle)
        await becomes(harness, outside, SeenState.RUNNING)

    async def test_a_sandbox_is_on_the_network_it_asks_for(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.NETWORKS)
        pods, address = await pods_of(harness), harness.addresses[0]
        handle = await sandbox(harness, new_uuid(), networks=(NetworkRequest(harness.network, v4=address),))
        seen = await pods.inspect_sandbox(handle)
        assert [(one.network, one.addr) for one in seen.addresses] == [(harness.network, address)]

    async def test_events_of_what_is_in_it_name_the_capsule(self, harness: RuntimeHarness) -> None:
        capsule = new_uuid()
        async with harness.runtime.containers.events() as events:
            handle = await sandbox(harness, capsule)
            child = await run(harness, ["sh", "-c", "exit 0"], sandbox=handle, capsule=capsule)
            await ended(harness, child)
            told: list[RuntimeEvent] = []
            async for event in events:
                if event.handle == child:
                    told.append(event)
                if event.handle == child and event.kind is RuntimeEventKind.EXITED:
                    break
        assert {event.capsule for event in told} == {capsule}
