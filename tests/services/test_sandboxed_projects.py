# SPDX-License-Identifier: Apache-2.0
"""Projects whose containers must be in a sandbox."""

import pytest

from support.desk import P1, P2, context, desk_in
from support.world import World
from zun.drivers.runtime.types import Capability
from zun.model.capsule_template import parse_template
from zun.model.errors import Denied, Unsupported
from zun.model.sandboxes import Sandboxes
from zun.store import keys

BOUNDS = {"cpu": (0.1, 16.0), "memory": (4.0, 8192.0)}
CAPABLE = [Capability.CAPSULES.value, Capability.SANDBOXED_CAPSULES.value]
P1_ONLY = Sandboxes(runtimes=("runsc", "kata"), projects=frozenset({P1}))


async def test_a_container_that_names_no_runtime_gets_the_preferred_sandbox(world: World) -> None:
    await world.node("n1", runtimes=["runc", "runsc"])
    async with desk_in(world, sandboxes=P1_ONLY) as desk:
        assert (await desk.create()).record().spec.runtime == "runsc"
        assert (await desk.create(context(P2))).record().spec.runtime is None


async def test_a_runtime_that_is_no_sandbox_is_refused_and_those_that_are_one_are_named(world: World) -> None:
    await world.node("n1", runtimes=["runc", "runsc", "kata"])
    async with desk_in(world, sandboxes=P1_ONLY) as desk:
        with pytest.raises(Denied, match="'runc' is not; leave it out, or choose one of: runsc, kata"):
            await desk.create(context(admin=True), runtime="runc")
        assert not (await world.store.range(keys.CONTAINERS)).items
        assert (await desk.create(context(admin=True), runtime="kata")).record().spec.runtime == "kata"
        other = await desk.create(context(P2, admin=True), runtime="runc")
        assert other.record().spec.runtime == "runc"


async def test_every_project_may_be_meant(world: World) -> None:
    await world.node("n1", runtimes=["runc", "runsc"])
    async with desk_in(world, sandboxes=Sandboxes(("runsc",), frozenset({"*"}))) as desk:
        assert (await desk.create(context(P2))).record().spec.runtime == "runsc"


async def test_where_no_host_has_the_sandbox_nothing_is_made_without_it(world: World) -> None:
    await world.node("n1", runtimes=["runc"])
    async with desk_in(world, sandboxes=P1_ONLY) as desk:
        with pytest.raises(Unsupported, match="No host here offers the runtime 'runsc'"):
            await desk.create()


def test_rights_over_the_host_open_a_sandbox() -> None:
    with pytest.raises(Denied, match="'privileged' would open it"):
        P1_ONLY.runtime_for(P1, "runsc", privileged=True)
    assert P1_ONLY.runtime_for(P2, None, privileged=True) is None


async def test_all_of_a_capsule_is_in_the_sandbox(world: World) -> None:
    await world.node("n1", runtimes=["runc", "runsc"], capabilities=CAPABLE)
    template = {"kind": "capsule", "metadata": {"name": "shop"}, "spec": {"containers": [{"image": "busybox"}] * 2}}
    async with desk_in(world, sandboxes=P1_ONLY) as desk:
        mine = (await desk.service.capsules.create(context(), parse_template(template, BOUNDS))).record()
        theirs = (await desk.service.capsules.create(context(P2), parse_template(template, BOUNDS))).record()
    assert {one.runtime for one in (mine.spec, *(child.spec for child in mine.children))} == {"runsc"}
    assert {one.runtime for one in (theirs.spec, *(child.spec for child in theirs.children))} == {None}


async def test_a_sandbox_that_cannot_hold_a_capsule_is_no_reason_to_do_without_it(world: World) -> None:
    await world.node("n1", runtimes=["runc", "runsc"], capabilities=[Capability.CAPSULES.value])
    template = {"kind": "capsule", "metadata": {"name": "shop"}, "spec": {"containers": [{"image": "busybox"}]}}
    async with desk_in(world, sandboxes=P1_ONLY) as desk:
        with pytest.raises(Unsupported, match="No host here offers capsules in a sandboxed runtime"):
            await desk.service.capsules.create(context(), parse_template(template, BOUNDS))
        assert not (await world.store.range(keys.CONTAINERS)).items
        theirs = (await desk.service.capsules.create(context(P2), parse_template(template, BOUNDS))).record()
    assert theirs.spec.runtime is None
