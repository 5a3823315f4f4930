# SPDX-License-Identifier: Apache-2.0
"""The contract's part about making, running, ending and recognising containers."""

# ruff: noqa: S101
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from zun.base.ids import new_uuid
from zun.drivers.runtime.contract_harness import (
    POLITE,
    STUBBORN,
    TRAPS_HUP,
    WAITS,
    RuntimeHarness,
    becomes,
    ended,
    execute,
    log_of,
    make,
    needs,
    run,
    said,
)
from zun.drivers.runtime.types import (
    Capability,
    Channel,
    FileMount,
    NetworkRequest,
    RuntimeEvent,
    RuntimeEventKind,
    VolumeMount,
)
from zun.model.container import HealthCheck
from zun.model.errors import Conflict, Invalid, NotFound, Unsupported
from zun.model.records import SeenState

ABSENT = "0123456789abcdef" * 4


class CreateContract:
    """Making containers, and finding them again."""

    async def test_a_new_container_is_created_and_not_running(self, harness: RuntimeHarness) -> None:
        uuid = new_uuid()
        handle = await make(harness, WAITS, uuid=uuid, generation=4)
        seen = await harness.runtime.containers.inspect(handle)
        assert (seen.handle, seen.uuid, seen.generation, seen.state) == (handle, uuid, 4, SeenState.CREATED)
        assert (seen.exit_code, seen.started_at, seen.addresses) == (None, None, ())
        assert seen.created_at is not None

    async def test_creating_the_same_generation_again_gives_the_same_handle(self, harness: RuntimeHarness) -> None:
        uuid = new_uuid()
        first = await run(harness, uuid=uuid)
        assert await make(harness, WAITS, uuid=uuid) == first
        assert (await harness.runtime.containers.inspect(first)).state is SeenState.RUNNING

    async def test_a_later_generation_can_be_made_while_the_earlier_is_there(self, harness: RuntimeHarness) -> None:
        uuid = new_uuid()
        handles = {await make(harness, WAITS, uuid=uuid, generation=generation) for generation in (1, 2, 3)}
        assert len(handles) == 3
        listed = [seen for seen in await harness.runtime.containers.list() if seen.uuid == uuid]
        assert {seen.handle for seen in listed} == handles
        assert {seen.generation for seen in listed} == {1, 2, 3}

    async def test_what_ran_before_a_restart_is_found_and_can_be_used(self, harness: RuntimeHarness) -> None:
        running, created = await run(harness), await make(harness, WAITS)
        again = await harness.reopen()
        states = {seen.handle: seen.state for seen in await again.containers.list()}
        assert states[running] is SeenState.RUNNING
        assert states[created] is SeenState.CREATED
        await again.containers.start(created)
        await again.containers.kill(running, "SIGKILL")
        assert (await ended(harness, running)).exit_code == 137

    async def test_a_process_is_told_while_it_runs_and_its_control_group_is_named_after_the_handle(
        self, harness: RuntimeHarness
    ) -> None:
        """Who must stop a container without the engine's help finds it by one or the other. An engine without processes tells 0."""
        handle = await make(harness, WAITS)
        assert (await harness.runtime.containers.inspect(handle)).pid == 0
        await harness.runtime.containers.start(handle)
        pid = (await harness.runtime.containers.inspect(handle)).pid
        if pid:
            assert handle in await asyncio.to_thread(Path(f"/proc/{pid}/cgroup").read_text)
        await harness.runtime.containers.kill(handle, "SIGKILL")
        assert (await ended(harness, handle)).pid == 0

    async def test_another_owner_sees_and_finds_none_of_them(self, harness: RuntimeHarness) -> None:
        handle = await run(harness)
        stranger = await harness.stranger()
        assert await stranger.containers.list() == []
        with pytest.raises(NotFound):
            await stranger.containers.inspect(handle)

    async def test_a_users_labels_cannot_pretend_to_be_ours(self, harness: RuntimeHarness) -> None:
        uuid = new_uuid()
        labels = {"io.zun.uuid": "spoofed", "io.zun.owner": "spoofed", "io.zun.generation": "9", "tier": "web"}
        handle = await make(harness, WAITS, uuid=uuid, labels=labels)
        seen = await harness.runtime.containers.inspect(handle)
        assert (seen.uuid, seen.generation) == (uuid, 1)

    async def test_an_absent_image_is_not_found(self, harness: RuntimeHarness) -> None:
        with pytest.raises(NotFound):
            await make(harness, WAITS, image="zun.local/no-such-image:1")

    async def test_a_malformed_image_is_invalid(self, harness: RuntimeHarness) -> None:
        with pytest.raises(Invalid):
            await make(harness, WAITS, image="Not An Image")

    async def test_too_little_memory_is_invalid(self, harness: RuntimeHarness) -> None:
        with pytest.raises(Invalid):
            await make(harness, WAITS, memory_mib=1)

    async def test_image_defaults_apply_where_the_request_says_nothing(self, harness: RuntimeHarness) -> None:
        info = await harness.runtime.images.find(harness.image_with_defaults)
        assert info.entrypoint
        assert info.command
        assert info.workdir
        handle = await make(harness, None, image=harness.image_with_defaults)
        seen = await harness.runtime.containers.inspect(handle)
        assert seen.ports == (8080,)
        assert seen.image_id == info.id

    async def test_an_entrypoint_of_the_request_replaces_the_images_and_its_command(
        self, harness: RuntimeHarness
    ) -> None:
        handle = await run(
            harness, ["one", "two"], image=harness.image_with_defaults, entrypoint=["echo"], exposed_ports=["53/udp"]
        )
        seen = await ended(harness, handle)
        assert (await log_of(harness, handle))[Channel.STDOUT] == b"one two\n"
        assert seen.ports == (53, 8080)

    async def test_environment_directory_and_host_name_reach_the_process(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, environment={"COLOUR": "green = new"}, workdir="/tmp", hostname="box")  # noqa: S108
        out, _, code = await execute(harness, handle, ["sh", "-c", "env; pwd; hostname"])
        assert code == 0
        lines = out.splitlines()
        assert b"COLOUR=green = new" in lines
        assert lines[-2:] == [b"/tmp", b"box"]

    async def test_a_file_of_the_host_is_seen_inside(self, harness: RuntimeHarness) -> None:
        path = harness.host_file(b"secret\x00\xff")
        handle = await run(harness, files=(FileMount(path, "/etc/injected/key"),))
        assert await execute(harness, handle, ["cat", "/etc/injected/key"]) == (b"secret\x00\xff", b"", 0)

    async def test_a_volume_that_is_mounted_read_only_is_not_written(self, harness: RuntimeHarness) -> None:
        volume = harness.volume()
        writer = await run(harness, volumes=(VolumeMount(volume, "/data"),))
        assert (await execute(harness, writer, ["sh", "-c", "echo kept > /data/file"]))[2] == 0
        reader = await run(harness, volumes=(VolumeMount(volume, "/data", read_only=True),))
        assert (await execute(harness, reader, ["cat", "/data/file"]))[0] == b"kept\n"
        assert (await execute(harness, reader, ["sh", "-c", "echo lost > /data/file"]))[2] != 0
        assert (await execute(harness, writer, ["cat", "/data/file"]))[0] == b"kept\n"

    async def test_a_named_volume_outlives_its_container(self, harness: RuntimeHarness) -> None:
        volumes = (VolumeMount(harness.volume(), "/data"),)
        first = await run(harness, volumes=volumes)
        assert (await execute(harness, first, ["sh", "-c", "echo kept > /data/file"]))[2] == 0
        await harness.runtime.containers.remove(first)
        second = await run(harness, volumes=volumes)
        assert (await execute(harness, second, ["cat", "/data/file"]))[0] == b"kept\n"


class LifeContract:
    """Starting, ending, signals, freezing and limits."""

    async def test_a_started_container_runs_and_has_an_address(self, harness: RuntimeHarness) -> None:
        handle = await run(harness)
        seen = await harness.runtime.containers.inspect(handle)
        assert seen.state is SeenState.RUNNING
        assert seen.exit_code is None
        assert seen.started_at is not None
        assert seen.created_at is not None
        assert seen.started_at >= seen.created_at
        assert seen.addresses[0].version == 4
        assert seen.addresses[0].network
        assert seen.addresses[0].port

    async def test_starting_what_runs_is_no_error(self, harness: RuntimeHarness) -> None:
        handle = await run(harness)
        before = await harness.runtime.containers.inspect(handle)
        await harness.runtime.containers.start(handle)
        assert (await harness.runtime.containers.inspect(handle)).started_at == before.started_at

    async def test_a_process_that_ends_by_itself_leaves_its_exit_code(self, harness: RuntimeHarness) -> None:
        seen = await ended(harness, await run(harness, ["sh", "-c", "exit 7"]))
        assert seen.exit_code == 7
        assert seen.finished_at is not None
        assert not seen.oom_killed
        assert seen.addresses == ()

    async def test_an_ended_container_can_be_started_again(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, ["sh", "-c", "echo again; exit 2"])
        await ended(harness, handle)
        await harness.runtime.containers.start(handle)
        assert (await ended(harness, handle)).exit_code == 2
        assert (await log_of(harness, handle))[Channel.STDOUT] == b"again\nagain\n"

    async def test_a_missing_program_is_invalid_and_leaves_it_not_running(self, harness: RuntimeHarness) -> None:
        handle = await make(harness, ["no-such-program"])
        with pytest.raises(Invalid, match="no-such-program"):
            await harness.runtime.containers.start(handle)
        seen = await harness.runtime.containers.inspect(handle)
        assert seen.state is SeenState.CREATED
        assert "no-such-program" in seen.error

    async def test_stop_lets_a_polite_process_end_by_itself(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, POLITE)
        await said(harness, handle, b"ready")
        await harness.during(harness.runtime.containers.stop(handle, 30))
        seen = await harness.runtime.containers.inspect(handle)
        assert (seen.state, seen.exit_code) == (SeenState.EXITED, 3)
        await harness.runtime.containers.stop(handle, 30)

    async def test_stop_kills_what_does_not_end_in_time(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, STUBBORN)
        await said(harness, handle, b"ready")
        await harness.during(harness.runtime.containers.stop(handle, 1))
        seen = await harness.runtime.containers.inspect(handle)
        assert (seen.state, seen.exit_code) == (SeenState.EXITED, 137)
        assert b"heard" in (await log_of(harness, handle))[Channel.STDOUT]

    async def test_a_signal_with_a_trap_leaves_it_running(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, TRAPS_HUP)
        await said(harness, handle, b"ready")
        await harness.runtime.containers.kill(handle, "SIGHUP")
        await said(harness, handle, b"hup")
        assert (await harness.runtime.containers.inspect(handle)).state is SeenState.RUNNING

    async def test_sigkill_ends_it(self, harness: RuntimeHarness) -> None:
        handle = await run(harness)
        await harness.runtime.containers.kill(handle, "SIGKILL")
        assert (await ended(harness, handle)).exit_code == 137

    async def test_a_signal_to_what_does_not_run_is_a_conflict(self, harness: RuntimeHarness) -> None:
        with pytest.raises(Conflict):
            await harness.runtime.containers.kill(await make(harness, WAITS), "SIGHUP")

    async def test_pause_and_unpause_are_refused_in_the_wrong_state(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.PAUSE)
        containers = harness.runtime.containers
        handle = await run(harness)
        with pytest.raises(Conflict):
            await containers.unpause(handle)
        await containers.pause(handle)
        await becomes(harness, handle, SeenState.PAUSED)
        with pytest.raises(Conflict):
            await containers.pause(handle)
        with pytest.raises(Conflict):
            await containers.start(handle)
        await containers.unpause(handle)
        await becomes(harness, handle, SeenState.RUNNING)
        with pytest.raises(Conflict):
            await containers.pause(await make(harness, WAITS))
        for act in (containers.pause, containers.unpause):
            with pytest.raises(NotFound):
                await act(ABSENT)

    async def test_limits_are_applied_and_can_be_changed_alive(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, cpu=0.5, memory_mib=64, cpuset="0")
        assert await harness.applied_limits(handle) == (0.5, 64, "0")
        await harness.runtime.containers.update(handle, cpu=0.25, memory_mib=96, cpuset=None)
        assert await harness.applied_limits(handle) == (0.25, 96, "0")
        await harness.runtime.containers.update(handle, cpu=None, memory_mib=None, cpuset="0-1")
        assert await harness.applied_limits(handle) == (0.25, 96, "0-1")
        with pytest.raises(Invalid):
            await harness.runtime.containers.update(handle, cpu=None, memory_mib=1, cpuset=None)

    @pytest.mark.parametrize(("test", "expected"), [("true", "healthy"), ("false", "unhealthy")])
    async def test_health_is_what_the_check_finds(self, harness: RuntimeHarness, test: str, expected: str) -> None:
        await needs(harness, Capability.HEALTH)
        check = HealthCheck(test=test, interval=1, retries=1, timeout=5)
        handle = await run(harness, healthcheck=check)

        async def has_settled() -> bool:
            return (await harness.runtime.containers.inspect(handle)).health == expected

        await harness.until(has_settled)
        plain = await run(harness)
        assert (await harness.runtime.containers.inspect(plain)).health is None

    async def test_remove_takes_a_paused_one(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.PAUSE)
        containers = harness.runtime.containers
        handle = await run(harness)
        await containers.pause(handle)
        await becomes(harness, handle, SeenState.PAUSED)
        await containers.remove(handle)
        assert handle not in [found.handle for found in await containers.list()]

    async def test_remove_takes_a_running_one_and_then_nothing(self, harness: RuntimeHarness) -> None:
        handle = await run(harness)
        await harness.runtime.containers.remove(handle)
        await harness.runtime.containers.remove(handle)
        with pytest.raises(NotFound):
            await harness.runtime.containers.inspect(handle)

    async def test_what_is_not_there_is_not_found(self, harness: RuntimeHarness) -> None:
        containers = harness.runtime.containers
        for call in (
            containers.inspect(ABSENT),
            containers.start(ABSENT),
            containers.stop(ABSENT, 1),
            containers.kill(ABSENT, "SIGHUP"),
            containers.update(ABSENT, cpu=1.0, memory_mib=None, cpuset=None),
        ):
            with pytest.raises(NotFound):
                await call

    async def test_events_tell_of_the_whole_life_and_of_nobody_elses(self, harness: RuntimeHarness) -> None:
        containers, stranger = harness.runtime.containers, await harness.stranger()
        freezes = Capability.PAUSE in (await containers.fingerprint()).capabilities
        async with containers.events() as events, stranger.containers.events():
            handle = await run(harness)
            if freezes:
                await containers.pause(handle)
                await containers.unpause(handle)
            await containers.kill(handle, "SIGKILL")
            await ended(harness, handle)
            await containers.remove(handle)
            told: list[RuntimeEvent] = []
            async for event in events:
                if event.handle == handle:
                    told.append(event)
                if event.kind is RuntimeEventKind.REMOVED and event.handle == handle:
                    break
        kind = RuntimeEventKind
        frozen = [kind.PAUSED, kind.UNPAUSED] if freezes else []
        expected = [kind.STARTED, *frozen, kind.EXITED, kind.REMOVED]
        first_of_each = dict.fromkeys(event.kind for event in told if event.kind in expected)
        assert list(first_of_each) == expected, told  # engines repeat themselves; an event only says: look
        assert told[0].uuid
        assert told == sorted(told, key=lambda event: event.at)


class LackContract:
    """What a runtime declares that it lacks is refused, and nothing is made or changed."""

    async def test_what_is_lacking_is_refused_before_anything_happens(self, harness: RuntimeHarness) -> None:
        containers = harness.runtime.containers
        lacking = frozenset(Capability) - (await containers.fingerprint()).capabilities
        handle, uuid = await run(harness), new_uuid()
        check = HealthCheck(test="true", interval=1, retries=1, timeout=5)
        refused: list[tuple[Capability, Callable[[], Awaitable[object]]]] = [
            (Capability.PAUSE, lambda: containers.pause(handle)),
            (Capability.PAUSE, lambda: containers.unpause(handle)),
            (Capability.COMMIT, lambda: harness.runtime.images.commit(handle, "zun.test/some", "1")),
            (Capability.NETWORKS, lambda: harness.runtime.networks.attach(handle, NetworkRequest("blue"))),
            (Capability.NETWORKS, lambda: harness.runtime.networks.detach(handle, harness.default_network)),
            (Capability.HEALTH, lambda: make(harness, WAITS, uuid=uuid, healthcheck=check)),
            (Capability.DISK_QUOTA, lambda: make(harness, WAITS, uuid=uuid, disk_gib=1)),
        ]
        for capability, act in refused:
            if capability in lacking:
                with pytest.raises(Unsupported):
                    await act()
        seen = await containers.list()
        assert [(one.handle, one.state) for one in seen] == [(handle, SeenState.RUNNING)]
