# SPDX-License-Identifier: Apache-2.0
"""Creating containers: what is recorded, and what is refused before anything is."""

import pytest

from support.desk import P1, P2, Desk, context, desk_in
from support.world import World
from zun.base.ids import new_uuid
from zun.model.container import HealthCheck, Mount, NetRequest, RestartPolicy
from zun.model.errors import Conflict, Denied, Invalid, NotFound, Unavailable, Unsupported, ZunError
from zun.model.records import ActionRecord, Usage, Verb
from zun.model.registry import RegistryRecord
from zun.model.states import Status
from zun.services.containers import ContainerService
from zun.services.options import ContainerOptions
from zun.store import codec, keys


async def everything(world: World) -> list[str]:
    return [kv.key for kv in (await world.store.range("/zun/", keys_only=True)).items]


async def test_a_container_is_recorded_with_history_and_quota_in_one_transaction(desk: Desk) -> None:
    ctx = context()
    before = await desk.world.store.revision()
    entry = await desk.create(ctx, run=True, memory=256, cpu=0.5)
    assert await desk.world.store.revision() == before + 1
    record = entry.record()
    assert [(intent.n, intent.verb) for intent in record.intents] == [(1, Verb.CREATE), (2, Verb.START)]
    assert record.image_source is not None
    assert record.image_source.reference == "docker.io/library/busybox:latest"
    assert record.image_source.pull_policy == "ifnotpresent"
    assert (record.project_id, record.user_id) == (P1, "u1")
    assert desk.world.view.derive(entry).status is Status.CREATING
    assert desk.world.view.usage(P1)[0] == Usage(containers=1, millicpus=500, memory=256)
    line = await desk.world.store.get(keys.action(entry.uuid, ctx.request_id))
    assert line is not None
    assert codec.decode(ActionRecord, line.value).action == "create"


async def test_what_a_request_leaves_open_gets_the_operators_defaults_and_counts(world: World) -> None:
    options = ContainerOptions(default_cpu=2.0, default_memory=99, default_network="lab")
    async with desk_in(world, options) as desk:
        spec = (await desk.create(name="")).record().spec
    assert (spec.cpu, spec.memory, [net.network for net in spec.nets]) == (2.0, 99, ["lab"])
    assert world.view.usage(P1)[0] == Usage(containers=1, millicpus=2000, memory=99)


async def test_a_container_without_name_gets_one_of_the_known_form(desk: Desk) -> None:
    entry = await desk.create(name="")
    greek, number, rest = entry.name.split("-")
    assert greek.isalpha()
    assert 1 <= int(number) <= 24
    assert rest == "container"


async def test_injected_files_lie_encrypted_until_they_are_placed(desk: Desk) -> None:
    mounts = [Mount("/etc/motd", file=0), Mount("/data", source="notes")]
    entry = await desk.create(files={0: b"very secret"}, mounts=mounts)
    staged = (await desk.world.store.range(keys.stages(entry.uuid))).items
    assert [kv.key for kv in staged] == [keys.stage(entry.uuid, 0)]
    assert b"secret" not in staged[0].value
    assert desk.master_key.decrypt(staged[0].value) == b"very secret"
    assert entry.record().files == 1


REFUSED: list[tuple[dict[str, object], tuple[type[ZunError], int, str], str]] = [
    ({"labels": {"io.zun.owner": "me"}}, (Invalid, 400, "invalid"), "io.zun."),
    ({"image": "NOT an image"}, (Invalid, 400, "invalid"), "image"),
    ({"image_driver": "glance"}, (Unsupported, 400, "invalid"), "Glance"),
    ({"security_groups": ["web"]}, (Unsupported, 400, "invalid"), "Neutron"),
    ({"nets": [NetRequest(port="p")]}, (Unsupported, 400, "port-not-usable"), "Neutron"),
    ({"nets": [NetRequest(network="nowhere")]}, (NotFound, 404, "network-not-found"), "there are: bridge, lab"),
    ({"nets": [NetRequest(network="bridge", v4_fixed_ip="172.17.0.9")]}, (Invalid, 400, "invalid"), "fixed address"),
    ({"nets": [NetRequest(network="lab", v4_fixed_ip="10.8.0.9")]}, (Invalid, 400, "invalid"), "10.9.0.0/24"),
    ({"nets": [NetRequest(network="lab", v4_fixed_ip="ten")]}, (Invalid, 400, "invalid"), "ten"),
    ({"registry": "unknown"}, (NotFound, 404, "registry-not-found"), "unknown"),
    ({"disk": 5}, (Unsupported, 400, "invalid"), "disk"),
    ({"cpu_policy": "dedicated"}, (Unsupported, 400, "invalid"), "dedicated"),
    ({"healthcheck": HealthCheck("true")}, (Unsupported, 400, "invalid"), "healthcheck"),
    ({"environment": {"A": "x" * 70_000}}, (Invalid, 413, "too-large"), "65536"),
    ({"auto_remove": True, "restart_policy": RestartPolicy("always")}, (Invalid, 400, "invalid"), "exclude"),
    ({"image": "committed.zun.local/somebody/else"}, (NotFound, 400, "image-not-found"), "committed.zun.local"),
]


@pytest.mark.parametrize(("fields", "refused", "words"), REFUSED)
async def test_what_cannot_be_is_refused_before_anything_is_recorded(
    desk: Desk, fields: dict[str, object], refused: tuple[type[ZunError], int, str], words: str
) -> None:
    before = await everything(desk.world)
    with pytest.raises(refused[0]) as refusal:
        await desk.create(**fields)
    assert (refusal.value.http_status, refusal.value.code) == refused[1:]
    assert words in refusal.value.message
    assert await everything(desk.world) == before


async def test_too_many_files_are_too_large(desk: Desk) -> None:
    with pytest.raises(Invalid) as refusal:
        await desk.create(files=dict.fromkeys(range(65), b""))
    assert refusal.value.http_status == 413


async def test_an_unknown_host_and_an_unknown_runtime_are_refused(desk: Desk) -> None:
    with pytest.raises(NotFound) as refusal:
        await desk.create(context(admin=True), host="n7")
    assert refusal.value.code == "requested-host-not-found"
    with pytest.raises(Unsupported, match="there are: runc"):
        await desk.create(context(admin=True), runtime="kata")
    info = desk.world.view.nodes()[0].info
    assert info is not None
    assert (await desk.create(context(admin=True), host=info.uuid)).record().spec.host == "n1"


async def test_without_any_node_nothing_is_refused_for_its_sake(empty_world: World) -> None:
    async with desk_in(empty_world) as desk:
        entry = await desk.create(nets=[NetRequest(network="somewhere")], disk=3)
        assert entry.record().spec.disk == 3


@pytest.mark.parametrize(
    "fields", [{"runtime": "runc"}, {"host": "n1"}, {"image_pull_policy": "never"}, {"privileged": True}]
)
async def test_fields_for_admins_are_denied_to_others(desk: Desk, fields: dict[str, object]) -> None:
    with pytest.raises(Denied):
        await desk.create(**fields)


async def test_saying_that_it_is_not_privileged_needs_no_right(desk: Desk) -> None:
    assert not (await desk.create(privileged=False)).record().spec.privileged


async def test_nobody_may_be_privileged_by_default_not_even_admins(desk: Desk) -> None:
    with pytest.raises(Denied):
        await desk.create(context(admin=True), privileged=True)


async def test_a_reader_cannot_create(desk: Desk) -> None:
    with pytest.raises(Denied):
        await desk.create(context(roles=("reader",)))


async def test_networks_are_kept_by_name_though_asked_for_by_id(desk: Desk) -> None:
    entry = await desk.create(nets=[NetRequest(network="net-2", v4_fixed_ip="10.9.0.20")])
    assert entry.record().spec.nets == [NetRequest(network="lab", v4_fixed_ip="10.9.0.20")]


async def registry(desk: Desk, name: str = "hub", project_id: str = P1, domain: str = "hub.example:5000") -> str:
    record = RegistryRecord(
        new_uuid(), project_id, "u1", name, domain, 1.0, username="joe", password=desk.master_key.encrypt(b"pass word")
    )
    await desk.world.put(keys.registry(record.uuid), record)
    return record.uuid


async def test_an_image_of_a_registry_comes_from_there_with_its_login_sealed_after_the_files(desk: Desk) -> None:
    uuid = await registry(desk)
    entry = await desk.create(registry="hub", image="team/app:1", files={0: b"x"}, mounts=[Mount("/x", file=0)])
    record = entry.record()
    assert record.registry_id == uuid
    assert record.image_source is not None
    assert record.image_source.reference == "hub.example:5000/team/app:1"
    assert record.image_source.credentials
    login = await desk.world.store.get(keys.stage(entry.uuid, 1))
    assert login is not None
    assert b"pass word" not in login.value
    assert desk.master_key.decrypt(login.value) == (
        b'{"username":"joe","password":"pass word","server":"hub.example:5000"}'
    )


async def test_a_registry_is_found_by_uuid_within_the_project_only(desk: Desk) -> None:
    own, foreign = await registry(desk), await registry(desk, project_id=P2)
    assert (await desk.create(registry=own)).record().registry_id == own
    with pytest.raises(NotFound):
        await desk.create(registry=foreign)
    await registry(desk)
    with pytest.raises(Conflict, match="2 registries"):
        await desk.create(registry="hub")


async def test_a_login_is_not_sent_to_another_registry(desk: Desk) -> None:
    await registry(desk)
    with pytest.raises(Invalid, match=r"evil\.example"):
        await desk.create(registry="hub", image="evil.example/app")


@pytest.mark.parametrize(("scope", "elsewhere_ok"), [("project", True), ("global", False)])
async def test_names_are_unique_where_the_operator_wants_it(world: World, scope: str, elsewhere_ok: bool) -> None:
    async with desk_in(world, ContainerOptions(unique_name_scope=scope)) as desk:  # type: ignore[arg-type]
        first = await desk.create(name="one")
        with pytest.raises(Conflict) as refusal:
            await desk.create(name="one")
        assert refusal.value.code == "container-already-exists"
        if elsewhere_ok:
            await desk.create(context(P2), name="one")
        else:
            with pytest.raises(Conflict):
                await desk.create(context(P2), name="one")
        assert world.view.usage(P1)[0].containers == 1
        await world.reaped(first.uuid)
        await desk.create(name="one")


async def test_names_need_not_be_unique_by_default(desk: Desk) -> None:
    await desk.create(name="one")
    await desk.create(name="one")


async def test_a_service_that_does_not_run_says_so(world: World, desk: Desk) -> None:
    stopped: ContainerService
    async with desk_in(world) as other:
        stopped = other.service
    other.service = stopped
    with pytest.raises(Unavailable):
        await other.create()
