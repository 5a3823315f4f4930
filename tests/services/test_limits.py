# SPDX-License-Identifier: Apache-2.0
"""Limits: whose counts, who may look and who may set."""

import pytest

from support.desk import P1, P2, context
from support.world import World
from zun.model.errors import Denied, Invalid
from zun.model.records import Limits, Usage
from zun.policy.enforcer import Policy
from zun.services.limits import LimitService, ResourceUsage
from zun.services.optimistic import OptimisticWriter
from zun.services.options import QuotaOptions
from zun.store import keys
from zun.store.interface import Put

ADMIN = context(P2, admin=True)
DEFAULTS = Limits(containers=40, cpu=20, memory=51_200, disk=100)


@pytest.fixture
def limits(empty_world: World) -> LimitService:
    """Limits over the configuration's defaults."""
    writer = OptimisticWriter(empty_world.store, empty_world.view, empty_world.clock)
    return LimitService(empty_world.view, Policy(), writer, QuotaOptions().limits())


async def test_the_project_comes_before_the_class_and_the_class_before_the_configuration(limits: LimitService) -> None:
    assert await limits.limits_for(context(), P1) == DEFAULTS
    await limits.set_class_limits(ADMIN, "default", Limits(cpu=30, disk=-1))
    assert await limits.limits_for(context(), P1) == Limits(containers=40, cpu=30, memory=51_200, disk=-1)
    await limits.set_limits(ADMIN, P1, Limits(cpu=2))
    assert await limits.limits_for(context(), P1) == Limits(containers=40, cpu=2, memory=51_200, disk=-1)
    assert await limits.defaults_for(context(), P1) == Limits(containers=40, cpu=30, memory=51_200, disk=-1)
    assert (await limits.limits_for(ADMIN, P2)).cpu == 30


async def test_what_is_set_later_keeps_what_was_set_before(limits: LimitService) -> None:
    await limits.set_limits(ADMIN, P1, Limits(cpu=2, containers=7))
    assert await limits.set_limits(ADMIN, P1, Limits(cpu=3)) == Limits(containers=7, cpu=3, memory=51_200, disk=100)


async def test_cleared_limits_are_the_defaults_again(limits: LimitService) -> None:
    await limits.set_limits(ADMIN, P1, Limits(cpu=2))
    await limits.clear(ADMIN, P1)
    await limits.clear(ADMIN, P1)
    assert await limits.limits_for(context(), P1) == DEFAULTS


async def test_other_classes_are_kept_but_have_no_effect(limits: LimitService) -> None:
    assert await limits.set_class_limits(ADMIN, "gold", Limits(cpu=99)) == Limits(
        containers=40, cpu=99, memory=51_200, disk=100
    )
    assert (await limits.class_limits(ADMIN, "gold")).cpu == 99
    assert await limits.class_limits(ADMIN, "unheard-of") == DEFAULTS
    assert (await limits.limits_for(context(), P1)).cpu == 20


async def test_usage_is_shown_beside_the_limits(limits: LimitService, empty_world: World) -> None:
    await empty_world.put(keys.quota(P1), Usage(containers=2, millicpus=1500, memory=768, disk=3))
    assert await limits.usages(context(), P1) == {
        "containers": ResourceUsage(40, 2.0),
        "memory": ResourceUsage(51_200, 768.0),
        "cpu": ResourceUsage(20, 1.5),
        "disk": ResourceUsage(100, 3.0),
    }


async def test_only_owners_and_admins_look_and_only_admins_set(limits: LimitService) -> None:
    await limits.limits_for(ADMIN, P1)
    for refused in (
        limits.limits_for(context(), P2),
        limits.usages(context(), P2),
        limits.defaults_for(context(), P2),
        limits.set_limits(context(), P1, Limits(cpu=1)),
        limits.clear(context(), P1),
        limits.class_limits(context(), "default"),
        limits.set_class_limits(context(), "default", Limits(cpu=1)),
    ):
        with pytest.raises(Denied):
            await refused


async def test_less_than_unlimited_is_refused(limits: LimitService) -> None:
    with pytest.raises(Invalid, match="limit of memory must be -1"):
        await limits.set_limits(ADMIN, P1, Limits(memory=-2))


async def test_what_a_newer_process_wrote_into_limits_is_kept(limits: LimitService, empty_world: World) -> None:
    await empty_world.write(Put(keys.project_limits(P1), b'{"cpu":5,"gpus":3}'))
    await limits.set_limits(ADMIN, P1, Limits(memory=9))
    found = await empty_world.store.get(keys.project_limits(P1))
    assert found is not None
    assert b'"gpus":3' in found.value
