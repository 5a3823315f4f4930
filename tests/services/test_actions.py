# SPDX-License-Identifier: Apache-2.0
"""Actions on containers: intents, the node's inbox, history, and what is refused."""

import msgspec
import pytest

from support.desk import P2, Desk, context
from support.world import World
from zun.base.ids import new_uuid
from zun.model.container import NetRequest
from zun.model.errors import Conflict, Denied, Invalid, NotFound, Unsupported
from zun.model.records import MAX_PENDING_INTENTS, ActionRecord, Address, ImageSource, Inbox, SeenState, Verb
from zun.model.registry import RegistryRecord
from zun.model.states import Status
from zun.store import codec, keys
from zun.store.view import ContainerEntry


@pytest.fixture
async def entry(desk: Desk) -> ContainerEntry:
    """A running container."""
    made = await desk.create(run=True)
    await desk.world.running(made.uuid)
    return made


async def inbox(world: World, entry: ContainerEntry) -> Inbox:
    found = await world.store.get(keys.inbox("n1", entry.uuid))
    assert found is not None
    return codec.decode(Inbox, found.value)


async def test_an_action_reaches_the_nodes_inbox_and_the_history_with_the_wish(
    desk: Desk, entry: ContainerEntry
) -> None:
    ctx, before = context(), await desk.world.store.revision()
    await desk.service.act(ctx, entry, Verb.STOP, timeout_seconds=3)
    assert await desk.world.store.revision() == before + 1
    intent = (await inbox(desk.world, entry)).intents[-1]
    assert (intent.verb, intent.n, intent.timeout_seconds, intent.request_id) == (Verb.STOP, 3, 3, ctx.request_id)
    assert entry.record().intents == [intent], "what the node has done is dropped"
    line = await desk.world.store.get(keys.action(entry.uuid, ctx.request_id))
    assert line is not None
    assert codec.decode(ActionRecord, line.value).n == 3


async def test_a_container_that_is_nowhere_gets_no_inbox(desk: Desk) -> None:
    entry = await desk.create()
    await desk.world.cannot_place(entry.uuid)
    assert desk.world.view.derive(entry).status is Status.ERROR
    await desk.service.act(context(), entry, Verb.START)
    assert desk.world.view.derive(entry).status is Status.CREATING, "the leader tries again"
    assert (await desk.world.store.range("/zun/in/")).items == ()


async def test_not_more_than_sixteen_actions_wait(desk: Desk, entry: ContainerEntry) -> None:
    for _ in range(MAX_PENDING_INTENTS):
        await desk.service.act(context(), entry, Verb.STOP)
    with pytest.raises(Conflict, match="wait until some are done"):
        await desk.service.act(context(), entry, Verb.STOP)
    await desk.service.delete(context(), entry, stop=True)
    await desk.service.delete(context(admin=True), entry, force=True)
    await desk.world.sees(entry.uuid, SeenState.RUNNING, done=entry.record().seq - 2)
    assert len(entry.record().intents) == MAX_PENDING_INTENTS + 2


async def test_a_full_inbox_empties_when_the_node_works(desk: Desk, entry: ContainerEntry) -> None:
    for _ in range(MAX_PENDING_INTENTS):
        await desk.service.act(context(), entry, Verb.KILL, signal="HUP")
    await desk.world.sees(entry.uuid, SeenState.RUNNING)
    await desk.service.act(context(), entry, Verb.KILL)
    assert len(entry.record().intents) == 1


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, "SIGKILL"),
        ("None", "SIGKILL"),
        ("SIGHUP", "SIGHUP"),
        ("HUP", "SIGHUP"),
        ("sighup", "SIGHUP"),
        ("hup", "SIGHUP"),
        ("1", "SIGHUP"),
        ("15", "SIGTERM"),
    ],
)
async def test_signals_are_understood_in_every_spelling(
    desk: Desk, entry: ContainerEntry, given: str | None, meant: str
) -> None:
    await desk.service.act(context(), entry, Verb.KILL, signal=given)
    assert entry.record().intents[-1].signal == meant


@pytest.mark.parametrize("given", ["SIGNONE", "0", "999", "-1", "9 ", "HuP", "١"])
async def test_what_is_no_signal_is_refused(desk: Desk, entry: ContainerEntry, given: str) -> None:
    with pytest.raises(Invalid, match="no signal"):
        await desk.service.act(context(), entry, Verb.KILL, signal=given)


async def test_a_negative_time_out_is_refused(desk: Desk, entry: ContainerEntry) -> None:
    with pytest.raises(Invalid, match="timeout"):
        await desk.service.act(context(), entry, Verb.STOP, timeout_seconds=-1)


async def test_a_reader_may_look_and_nothing_else(desk: Desk, entry: ContainerEntry) -> None:
    reader = context(roles=("reader",))
    assert await desk.service.find(reader, entry.uuid) is entry
    with pytest.raises(Denied):
        await desk.service.act(reader, entry, Verb.STOP)
    with pytest.raises(Denied):
        await desk.service.delete(reader, entry, stop=True)


# Rebuild


async def test_a_rebuild_tells_whether_it_ran_and_takes_another_image(desk: Desk, entry: ContainerEntry) -> None:
    await desk.service.act(context(), entry, Verb.REBUILD, image="alpine:3")
    record = entry.record()
    assert record.intents[-1].run
    assert record.spec.image == "alpine:3"
    assert record.image_source == ImageSource("docker.io/library/alpine:3")
    assert (await inbox(desk.world, entry)).image_source == record.image_source


async def test_a_rebuild_of_a_stopped_one_does_not_start_it(desk: Desk, entry: ContainerEntry) -> None:
    await desk.world.sees(entry.uuid, SeenState.EXITED)
    await desk.service.act(context(), entry, Verb.REBUILD)
    assert not entry.record().intents[-1].run
    assert entry.record().spec.image == "busybox"


async def test_a_rebuild_from_the_same_registry_keeps_its_login(desk: Desk) -> None:
    registry = RegistryRecord(new_uuid(), context().caller.project_id, "u", "hub", "hub.example", 1.0, username="joe")
    await desk.world.put(keys.registry(registry.uuid), registry)
    made = await desk.create(registry="hub", image="app:1")
    await desk.world.running(made.uuid)
    await desk.service.act(context(), made, Verb.REBUILD, image="hub.example/app:2")
    assert made.record().image_source == ImageSource("hub.example/app:2", credentials=True)
    await desk.world.running(made.uuid)
    await desk.service.act(context(), made, Verb.REBUILD, image="evil.example/app:2")
    assert made.record().image_source == ImageSource("evil.example/app:2")


async def test_rebuild_refuses_drivers_that_are_not_there(desk: Desk, entry: ContainerEntry) -> None:
    with pytest.raises(Unsupported, match="Glance"):
        await desk.service.act(context(), entry, Verb.REBUILD, image_driver="glance")
    with pytest.raises(Invalid) as refusal:
        await desk.service.act(context(), entry, Verb.REBUILD, image_driver="floppy")
    assert refusal.value.code == "validation-error"


# Networks


async def test_a_network_is_attached_by_name_with_an_address(desk: Desk, entry: ContainerEntry) -> None:
    await desk.service.act(context(), entry, Verb.NETWORK_ATTACH, network="net-2", fixed_ip="10.9.0.7")
    intent = entry.record().intents[-1]
    assert (intent.network, intent.fixed_ip) == ("lab", "10.9.0.7")


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({"network": "nowhere"}, "network-not-found", "there are: bridge, lab"),
        ({"network": "bridge", "fixed_ip": "172.17.0.8"}, "invalid", "fixed address"),
        ({"network": "lab", "fixed_ip": "10.1.0.8"}, "invalid", "not on network"),
        ({"network": "lab", "port": "p"}, "invalid", "exclude"),
        ({"port": "p"}, "port-not-usable", "Neutron"),
        ({"network": "bridge"}, "invalid", "already"),
        ({}, "invalid", "already"),
    ],
)
async def test_attaching_is_refused_where_it_cannot_be(
    desk: Desk, entry: ContainerEntry, asked: dict[str, str], code: str, words: str
) -> None:
    await desk.world.sees(entry.uuid, SeenState.RUNNING, addresses=[Address("net-1", "172.17.0.2", 4)])
    with pytest.raises((Invalid, NotFound, Unsupported), match=words) as refusal:
        await desk.service.act(context(), entry, Verb.NETWORK_ATTACH, **asked)
    assert refusal.value.code == code


async def test_what_is_being_attached_counts_as_attached(desk: Desk, entry: ContainerEntry) -> None:
    await desk.world.sees(entry.uuid, SeenState.RUNNING, addresses=[Address("bridge", "172.17.0.2", 4, port="e1")])
    with pytest.raises(Invalid, match="not on network"):
        await desk.service.act(context(), entry, Verb.NETWORK_DETACH, network="lab")
    await desk.service.act(context(), entry, Verb.NETWORK_ATTACH, network="lab")
    with pytest.raises(Invalid, match="already"):
        await desk.service.act(context(), entry, Verb.NETWORK_ATTACH, network="lab")
    await desk.service.act(context(), entry, Verb.NETWORK_DETACH, network="lab")
    await desk.service.act(context(), entry, Verb.NETWORK_DETACH, port="e1")
    assert [intent.network for intent in entry.record().intents] == ["lab", "lab", "bridge"]
    with pytest.raises(Invalid, match="exactly one"):
        await desk.service.act(context(), entry, Verb.NETWORK_DETACH)


async def test_a_container_without_networks_asked_for_is_on_the_engines_default(desk: Desk) -> None:
    made = await desk.create(nets=[NetRequest("lab")])
    await desk.service.act(context(), made, Verb.NETWORK_ATTACH)
    assert made.record().intents[-1].network == "bridge"


async def test_a_node_that_cannot_is_not_asked(desk: Desk, entry: ContainerEntry) -> None:
    await desk.world.node("n1", capabilities=[])
    before = entry.record().seq
    for verb, asked in (
        (Verb.NETWORK_ATTACH, {"network": "lab"}), (Verb.REBUILD, {"image": "alpine"}), (Verb.PAUSE, {}),
    ):  # fmt: skip
        with pytest.raises(Unsupported, match="n1"):
            await desk.service.act(context(), entry, verb, **asked)
    assert entry.record().seq == before
    with pytest.raises(Unsupported, match="n1"):
        await desk.service.commit(context(), entry, "mine")


# Commit


async def test_a_committed_image_is_the_projects_own_and_can_be_run_by_its_name(
    desk: Desk, entry: ContainerEntry
) -> None:
    uuid = await desk.service.commit(context(), entry, "busybox", "latest")
    image = desk.world.view.image(uuid)
    assert image is not None
    assert (image.wish.repo, image.wish.tag, image.wish.node) == ("busybox", "latest", "n1")
    assert image.wish.committed
    intent = entry.record().intents[-1]
    assert f"{intent.repository}:{intent.tag}" == image.wish.source.reference
    assert intent.image_uuid == uuid
    mine, theirs = await desk.create(image="busybox"), await desk.create(context(P2), image="busybox")
    assert mine.record().image_source == image.wish.source
    assert theirs.record().image_source == ImageSource("docker.io/library/busybox:latest")
    with pytest.raises(NotFound):
        await desk.create(context(P2), image=image.wish.source.reference)


async def test_committing_to_a_name_again_replaces_the_image(desk: Desk, entry: ContainerEntry) -> None:
    first = await desk.service.commit(context(), entry, "mine", "1")
    assert await desk.service.commit(context(), entry, "mine", "1") == first
    assert await desk.service.commit(context(), entry, "mine:2") != first
    wish = desk.world.view.image(first)
    assert wish is not None
    await desk.world.put(keys.image(first), msgspec.structs.replace(wish.wish, absent=True))
    with pytest.raises(Conflict, match="being removed"):
        await desk.service.commit(context(), entry, "mine", "1")


async def test_a_commit_under_an_impossible_name_is_refused(desk: Desk, entry: ContainerEntry) -> None:
    with pytest.raises(Invalid):
        await desk.service.commit(context(), entry, "Not A Name")
    assert desk.world.view.images() == []


# Delete


async def test_deleting_says_how_and_shows_deleting_until_it_is_gone(desk: Desk, entry: ContainerEntry) -> None:
    await desk.service.delete(context(), entry, stop=True)
    intent = (await inbox(desk.world, entry)).intents[-1]
    assert (intent.verb, intent.stop, intent.force, intent.timeout_seconds) == (Verb.DELETE, True, False, 10)
    assert desk.world.view.derive(entry).status is Status.DELETING
    await desk.world.reaped(entry.uuid)
    with pytest.raises(NotFound) as refusal:
        await desk.service.find(context(), entry.uuid)
    assert refusal.value.code == "container-not-found"
    assert desk.world.view.usage(entry.project_id)[0].containers == 0


async def test_a_lost_nodes_container_can_be_deleted_by_force_only_and_once(desk: Desk, entry: ContainerEntry) -> None:
    await desk.world.node_dies()
    with pytest.raises(Conflict, match="Unknown"):
        await desk.service.delete(context(), entry)
    for _ in range(3):
        await desk.service.delete(context(admin=True), entry, force=True)
    assert [intent.verb for intent in entry.record().intents] == [Verb.DELETE]
    assert desk.world.view.derive(entry).status is Status.DELETING


async def test_force_and_other_projects_are_for_admins(desk: Desk, entry: ContainerEntry) -> None:
    with pytest.raises(Denied):
        await desk.service.delete(context(), entry, force=True)
    with pytest.raises(Denied):
        await desk.service.delete(context(), entry, stop=True, all_projects=True)
    await desk.service.delete(context(P2, admin=True), entry, stop=True, all_projects=True)


async def test_a_container_that_nobody_could_place_is_deleted_by_its_owner(desk: Desk) -> None:
    made = await desk.create()
    await desk.world.cannot_place(made.uuid)
    await desk.service.delete(context(), made)
    assert desk.world.view.derive(made).status is Status.DELETING


# Names


async def test_containers_are_found_by_uuid_and_by_an_unambiguous_name_of_the_own_project(desk: Desk) -> None:
    one, other = await desk.create(name="one"), await desk.create(context(P2), name="one")
    assert await desk.service.find(context(), "one") is one
    assert await desk.service.find(context(), one.uuid.upper().replace("-", "")) is one
    assert await desk.service.find(context(P2, admin=True), "one") is other
    assert await desk.service.find(context(P2, admin=True), one.uuid) is one
    with pytest.raises(NotFound):
        await desk.service.find(context(), other.uuid)
    with pytest.raises(NotFound):
        await desk.service.find(context(), "nothing")
    with pytest.raises(Denied):
        await desk.service.find(context(), "one", all_projects=True)
    await desk.create(name="one")
    with pytest.raises(Conflict, match="2 containers"):
        await desk.service.find(context(), "one")


async def test_a_list_holds_the_own_project_and_for_admins_everything(desk: Desk) -> None:
    one, other = await desk.create(), await desk.create(context(P2))
    assert await desk.service.list(context()) == [one]
    assert await desk.service.list(context(admin=True), all_projects=True) == [one, other]
    with pytest.raises(Denied):
        await desk.service.list(context(), all_projects=True)


async def test_reads_of_an_unchanged_store_wait_for_nobody(desk: Desk) -> None:
    one = await desk.create()
    for call in (desk.service.find(context(), one.uuid), desk.service.list(context())):
        with pytest.raises(StopIteration):
            call.send(None)
