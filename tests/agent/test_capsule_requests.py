# SPDX-License-Identifier: Apache-2.0
"""What an engine is asked for a capsule and its containers."""

import msgspec
import pytest
from agent_capsules import APP, APP2, WAITS, Capsules, capsule
from agent_world import World

from zun.model.states import Status


@pytest.fixture
def capsules(world: World) -> Capsules:
    return Capsules(world)


async def test_the_engine_limits_each_to_what_it_may_use_and_weighs_it_by_what_it_asked_for(
    world: World, capsules: Capsules
) -> None:
    await world.start()
    entry = capsule(WAITS, WAITS, WAITS)
    asks = {"cpu": 0.25, "memory": 64}
    specs = [msgspec.structs.replace(one.spec, **asks) for one in entry.children[:2]]
    entry.children[0] = msgspec.structs.replace(entry.children[0], spec=specs[0], cpu_limit=2.0, memory_limit=512)
    entry.children[1] = msgspec.structs.replace(entry.children[1], spec=specs[1])
    await capsules.wish(entry)
    await capsules.becomes(Status.RUNNING)
    asked = [capsules.only(one.uuid).request for one in entry.children]
    assert [(one.cpu, one.memory_mib, one.cpu_shares) for one in asked] == [
        (2.0, 512, 256),
        (0.25, 64, None),
        (None, None, None),
    ]


@pytest.mark.parametrize("privileged", [False, True])
async def test_a_sandbox_has_the_rights_that_a_container_in_it_needs(
    world: World, capsules: Capsules, *, privileged: bool
) -> None:
    await world.start()
    entry = capsule(WAITS, WAITS)
    spec = msgspec.structs.replace(entry.children[1].spec, privileged=privileged)
    entry.children[1] = msgspec.structs.replace(entry.children[1], spec=spec)
    await capsules.wish(entry)
    await capsules.becomes(Status.RUNNING)
    assert world.engine.sandboxes[capsules.sandbox()].request.privileged is privileged
    assert [capsules.only(one).request.privileged for one in (APP, APP2)] == [False, privileged]
