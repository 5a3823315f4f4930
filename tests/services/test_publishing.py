# SPDX-License-Identifier: Apache-2.0
"""Ports that may be published: the operator's ranges and the policy."""

from pathlib import Path

import msgspec
import pytest

from support.desk import P1, context, desk_in
from support.world import World
from zun.base.clock import ManualClock
from zun.model.attachments import PublishedPort
from zun.model.errors import Denied, Invalid
from zun.policy.enforcer import Policy
from zun.policy.options import PolicyOptions
from zun.services.options import ContainerOptions
from zun.services.publishing import Publishable
from zun.store import keys

WEB = PublishedPort(host_port=8080, port=80)


async def test_where_the_operator_opens_no_port_none_is_published_not_even_a_chosen_one(world: World) -> None:
    await world.node("n1", capabilities=["publish"])
    async with desk_in(world, options=ContainerOptions(published_ports="")) as desk:
        for port in (WEB, msgspec.structs.replace(WEB, host_port=0)):
            with pytest.raises(Invalid, match="containers publish no ports here"):
                await desk.create(published_ports=[port])
        assert not (await world.store.range(keys.CONTAINERS)).items
        await desk.create()


async def test_the_operators_ranges_count_and_what_he_reserved_of_them_does_not(world: World) -> None:
    await world.node("n1", capabilities=["publish"])
    options = ContainerOptions(published_ports="80,8000-8100", reserved_ports="8090")
    async with desk_in(world, options=options) as desk:
        for number in (80, 8000, 8100):
            await desk.create(published_ports=[PublishedPort(host_port=number, port=80)])
        for number in (81, 8090, 8101):
            with pytest.raises(Invalid, match=f"port {number} of a host .* choose one of 80, 8000-8100 but 8090"):
                await desk.create(published_ports=[PublishedPort(host_port=number, port=80)])


def test_who_may_publish_is_a_matter_of_policy(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('"container:create:published_ports": "rule:admin_api"\n')
    policy = Policy(PolicyOptions(policy_file=str(file)), clock=ManualClock())
    publishable = Publishable(policy, ContainerOptions())
    member, admin = context(P1).caller, context(P1, admin=True).caller
    with pytest.raises(Denied):
        publishable.check(member, [WEB], "'published_ports'")
    publishable.check(admin, [WEB], "'published_ports'")
    publishable.check(member, [], "'published_ports'")


def test_ports_that_are_none_end_the_start_naming_the_option() -> None:
    with pytest.raises(ValueError, match="reserved_ports: '70000'"):
        ContainerOptions(reserved_ports="70000")
