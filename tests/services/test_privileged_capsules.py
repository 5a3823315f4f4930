# SPDX-License-Identifier: Apache-2.0
"""Containers of capsules that have the rights of their node: as other containers, only where the policy lets somebody have them."""

from pathlib import Path

import pytest

from support.desk import P1, context, desk_in
from support.world import World
from zun.drivers.runtime.types import Capability
from zun.model.capsule_template import parse_template
from zun.model.errors import Denied, Unsupported
from zun.model.sandboxes import Sandboxes
from zun.policy.enforcer import Policy
from zun.policy.options import PolicyOptions
from zun.store import keys

CAPABLE = [Capability.CAPSULES.value, Capability.PRIVILEGED.value]
REQUEST = parse_template(
    {
        "kind": "capsule",
        "metadata": {"name": "shop"},
        "spec": {"containers": [{"image": "busybox", "securityContext": {"privileged": True}}, {"image": "busybox"}]},
    },
    {},
)


@pytest.fixture
def lenient(tmp_path: Path) -> Policy:
    path = tmp_path / "policy.yaml"
    path.write_text('"container:create:privileged": "rule:context_is_admin"\n')
    return Policy(PolicyOptions(policy_file=str(path)))


async def test_who_may_have_one_gets_it_where_a_node_has_them(world: World, lenient: Policy) -> None:
    await world.node("n1", capabilities=CAPABLE)
    async with desk_in(world, policy=lenient) as desk:
        made = (await desk.service.capsules.create(context(admin=True), REQUEST)).record()
        assert [one.spec.privileged for one in made.children] == [True, False]
        with pytest.raises(Denied):
            await desk.service.capsules.create(context(), REQUEST)


async def test_where_no_node_has_them_it_is_refused(world: World, lenient: Policy) -> None:
    await world.node("n1", capabilities=CAPABLE[:1])
    async with desk_in(world, policy=lenient) as desk:
        with pytest.raises(Unsupported, match="privileged"):
            await desk.service.capsules.create(context(admin=True), REQUEST)
        assert not (await world.store.range(keys.CONTAINERS)).items


async def test_a_project_that_must_be_in_a_sandbox_has_none(world: World, lenient: Policy) -> None:
    await world.node("n1", capabilities=[*CAPABLE, Capability.SANDBOXED_CAPSULES.value], runtimes=["runc", "runsc"])
    async with desk_in(world, policy=lenient, sandboxes=Sandboxes(("runsc",), frozenset({P1}))) as desk:
        with pytest.raises(Denied, match="'privileged' would open it"):
            await desk.service.capsules.create(context(admin=True), REQUEST)
