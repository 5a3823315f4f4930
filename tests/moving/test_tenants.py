# SPDX-License-Identifier: Apache-2.0
"""Projects that never share a machine, whatever becomes of the machines."""

from collections.abc import Callable
from pathlib import Path

from moving.cloud import DELAY, Cloud, cloud_of
from support.desk import P1, P2
from zun.controllers.scheduling.options import SchedulerOptions

EXCLUSIVE = SchedulerOptions(tenant_isolation="exclusive")


def apart(cloud: Cloud) -> None:
    """Nothing of two projects runs on one machine."""
    for name, machine in cloud.machines.items():
        projects = {cloud.entry(one.request.uuid).project_id for one in machine.running()}
        assert len(projects) <= 1, f"{name} runs containers of {projects}"


async def when(cloud: Cloud, holds: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    def looked() -> bool:
        apart(cloud)
        return holds()

    await cloud.until(looked, what, seconds=seconds)


async def test_drained_and_lost_nodes_give_their_containers_to_nodes_without_other_projects(tmp_path: Path) -> None:
    async with cloud_of(tmp_path, ["n1", "n2", "n3", "n4"], EXCLUSIVE) as cloud:
        uuids = [await cloud.create(project=project) for project in (P1, P2) * 3]
        for uuid in uuids:
            await cloud.running(uuid)
        mine, theirs = cloud.node_of(uuids[0]), cloud.node_of(uuids[1])
        assert {cloud.node_of(uuid) for uuid in uuids} == {mine, theirs}
        await cloud.drain(mine)
        await when(cloud, lambda: all(cloud.node_of(uuid) != mine for uuid in uuids), "the drained node is empty")
        await cloud.machines[theirs].power_off()
        await when(cloud, lambda: all(cloud.node_of(uuid) != theirs for uuid in uuids), "all moved", seconds=DELAY + 30)
        await when(cloud, lambda: all(cloud.homes(uuid) for uuid in uuids), "all run")
        assert len({cloud.node_of(uuid) for uuid in uuids}) == 2


async def test_a_container_stays_on_a_drained_node_when_all_others_belong_to_somebody_else(tmp_path: Path) -> None:
    async with cloud_of(tmp_path, ["n1", "n2"], EXCLUSIVE) as cloud:
        mine, theirs = await cloud.create(project=P1), await cloud.create(project=P2)
        home = await cloud.running(mine)
        await cloud.running(theirs)
        await cloud.drain(home)
        await cloud.pass_time(30)
        apart(cloud)
        assert cloud.homes(mine) == [home]
        reason = cloud.derived(mine).reason or ""
        assert "1 of 2 nodes: has containers of another project and isolation is exclusive" in reason
        await cloud.delete(theirs)
        await when(cloud, lambda: cloud.node_of(mine) != home, "it moves once the other node is empty")
        await cloud.running(mine)


async def test_nobody_else_gets_the_node_that_is_kept_for_one_on_its_way(tmp_path: Path) -> None:
    async with cloud_of(tmp_path, ["n1", "n2"], EXCLUSIVE) as cloud:
        mine = await cloud.create(project=P1)
        home = await cloud.running(mine)
        changes = cloud.view.subscribe()
        await cloud.drain(home)
        while b'"order"' not in cloud.entry(mine).place_raw:
            await changes.batch()
        theirs = await cloud.create(project=P2)
        await when(cloud, lambda: cloud.node_of(mine) not in {"", home}, "it moves")
        await cloud.running(mine)
        assert cloud.node_of(theirs) == ""
