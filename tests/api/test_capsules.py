# SPDX-License-Identifier: Apache-2.0
"""Capsules over the wire: create, list, show, delete; their containers; who may do what."""

import json
from datetime import datetime
from typing import Any

import httpx
import pytest

from support.api import ApiWorld, error_of
from zun.drivers.runtime.types import Capability
from zun.model.records import Address, Observation, SeenState, Verb
from zun.store import keys

MINIMAL = {"kind": "capsule", "metadata": {"name": "shop"}, "spec": {"containers": [{"image": "nginx", "name": "web"}]}}


def template(name: str | None = "shop", *, init: bool = False, **container: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"image": "nginx", "name": "web"} | container, {"image": "busybox"}]}
    if init:
        spec["initContainers"] = [{"image": "busybox", "command": ["true"]}]
    metadata = {"labels": {"tier": "web"}, "annotations": {"note": "demo"}} | ({"name": name} if name else {})
    return {"kind": "capsule", "metadata": metadata, "spec": spec}


async def make(api: ApiWorld, client: httpx.AsyncClient | None = None, **fields: Any) -> dict[str, Any]:
    response = await (client or api.member).post("/v1/capsules", json={"template": template(**fields)})
    assert response.status_code == 202, response.text
    view: dict[str, Any] = response.json()
    return view


async def runs(api: ApiWorld, view: dict[str, Any], **states: SeenState) -> None:
    """Its node runs it."""
    if api.world.entry(view["uuid"]).place() is None:
        await api.world.place(view["uuid"])
    children = [Observation(one["uuid"], 1, SeenState.EXITED, exit_code=0) for one in view["init_containers"]] + [
        Observation(one["uuid"], 1, states.get(one["given_name"] or "", SeenState.RUNNING), started_at=api.clock.now())
        for one in view["containers"]
    ]
    address = Address("bridge", "10.0.0.2", 4, port="p")
    await api.world.sees(view["uuid"], SeenState.RUNNING, children=children, addresses=[address])


async def show(api: ApiWorld, ident: str, client: httpx.AsyncClient | None = None) -> dict[str, Any]:
    response = await (client or api.member).get(f"/v1/capsules/{ident}")
    assert response.status_code == 200, response.text
    view: dict[str, Any] = response.json()
    return view


async def test_a_capsule_is_accepted_with_its_containers(api: ApiWorld) -> None:
    response = await api.member.post("/v1/capsules/", json={"template": template(init=True)})
    assert response.status_code == 202
    view = response.json()
    assert response.headers["location"].endswith(f"/v1/capsules/{view['uuid']}")
    assert (view["name"], view["status"], view["labels"]) == ("shop", "Creating", {"tier": "web"})
    assert view["annotations"] == {"note": "demo"}
    assert view["restart_policy"] == {"Name": "always", "MaximumRetryCount": "0"}
    names = [one["name"] for one in (*view["init_containers"], *view["containers"])]
    assert names == ["capsule-shop-alpha-1", "capsule-shop-beta-2", "capsule-shop-gamma-3"]
    assert [one["status"] for one in view["containers"]] == ["Creating", "Creating"]
    assert "links" not in view["containers"][0]
    assert "host" not in view


@pytest.mark.parametrize(
    "text", [json.dumps(MINIMAL), "kind: capsule\nmetadata: {name: shop}\nspec: {containers: [{image: nginx}]}"]
)
async def test_a_template_may_be_text(api: ApiWorld, text: str) -> None:
    response = await api.at("1.32").post("/v1/capsules", json={"template": text})
    assert response.status_code == 202
    assert (await show(api, "shop"))["uuid"] == response.json()["uuid"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "'template' is required"),
        ({"template": 3}, "'template' must be"),
        ({"template": MINIMAL, "run": True}, "'run'"),
        ({"template": "kind: ["}, "neither JSON nor YAML"),
        ({"template": {}}, "'template.kind' is required"),
        ({"template": MINIMAL | {"nets": []}}, "'template.nets'"),
    ],
)
async def test_a_bad_body_is_a_400_that_names_what_is_wrong(api: ApiWorld, body: Any, said: str) -> None:
    response = await api.member.post("/v1/capsules", json=body)
    assert error_of(response)[0] == 400
    assert said in response.text


async def test_what_its_node_sees_is_what_is_shown(api: ApiWorld) -> None:
    view = await make(api, init=True)
    await runs(api, view)
    shown = await show(api, "shop")
    assert shown["status"] == "Running"
    assert shown["addresses"]["bridge"][0]["addr"] == "10.0.0.2"
    assert [one["status"] for one in shown["containers"]] == ["Running", "Running"]
    assert [one["status"] for one in shown["init_containers"]] == ["Stopped"]
    assert shown["containers"][0]["addresses"] == shown["addresses"]
    await api.world.node_dies()
    assert (await show(api, "shop"))["status"] == "Unknown"
    assert {one["status"] for one in (await show(api, "shop"))["containers"]} == {"Unknown"}


async def test_times_have_the_one_form_that_strict_clients_read(api: ApiWorld) -> None:
    view = await make(api)
    api.clock.advance(3.5)
    await runs(api, view)
    shown = await show(api, "shop")
    for text in (shown["created_at"], shown["updated_at"], shown["containers"][0]["started_at"]):
        form = "%Y-%m-%d %H:%M:%S.%f" if "." in text else "%Y-%m-%d %H:%M:%S"
        assert datetime.strptime(text, form)  # noqa: DTZ007 - that is the form


async def test_the_words_of_old_versions(api: ApiWorld) -> None:
    await make(api)
    old = (await api.at("1.31").get("/v1/capsules/shop")).json()
    assert (old["meta_name"], old["meta_labels"], old["restart_policy"]) == ("shop", {"tier": "web"}, "always")
    assert (old["volumes_info"], old["containers_uuids"], old["init_containers_uuids"]) == ({}, [], [])
    assert old["capsule_version"] == ""
    assert not {"name", "labels"} & set(old)
    assert isinstance(old["memory"], str)
    new = (await api.at("1.32").get("/v1/capsules/shop")).json()
    assert new["name"] == "shop"
    assert not {"meta_name", "capsule_version"} & set(new)


async def test_what_containers_ask_for_is_counted_and_a_capsule_that_is_too_large_is_refused(api: ApiWorld) -> None:
    await make(api, resources={"requests": {"cpu": 2, "memory": 512}})
    usage = (await api.member.get("/v1/quotas/p1", params={"usages": "true"})).json()
    assert (usage["containers"]["in_use"], usage["cpu"]["in_use"], usage["memory"]["in_use"]) == (2, 2, 512)
    body = {"template": template("more", resources={"requests": {"cpu": 16}})}
    assert (await api.member.post("/v1/capsules", json=body)).status_code == 202
    refused = await api.member.post(
        "/v1/capsules", json={"template": template("most", resources={"requests": {"cpu": 3}})}
    )
    assert error_of(refused) == (403, "over-quota")
    assert (await api.member.get("/v1/capsules/most")).status_code == 404


async def test_deletion_is_accepted_in_any_state_and_the_quota_comes_back(api: ApiWorld) -> None:
    view = await make(api)
    assert (await api.member.delete("/v1/capsules/shop")).status_code == 204
    assert (await show(api, "shop"))["status"] == "Deleting"
    assert (await api.member.delete("/v1/capsules/shop")).status_code == 204
    await api.world.reaped(view["uuid"])
    assert error_of(await api.member.get("/v1/capsules/shop")) == (404, "container-not-found")
    assert error_of(await api.member.delete("/v1/capsules/shop")) == (404, "container-not-found")
    usage = (await api.member.get("/v1/quotas/p1", params={"usages": "true"})).json()
    assert usage["containers"]["in_use"] == 0


def deletions(api: ApiWorld, uuid: str) -> list[tuple[bool, int | None]]:
    intents = api.world.entry(uuid).record().intents
    return [(one.stop, one.timeout_seconds) for one in intents if one.verb is Verb.DELETE]


@pytest.mark.parametrize("grace", [None, 0, 45])
async def test_what_runs_gets_the_grace_of_the_template_and_a_second_deletion_changes_nothing(
    api: ApiWorld, grace: int | None
) -> None:
    body = template()
    body["spec"]["terminationGracePeriodSeconds"] = grace
    view = (await api.member.post("/v1/capsules", json={"template": body})).json()
    for _ in range(2):
        assert (await api.member.delete("/v1/capsules/shop")).status_code == 204
    assert deletions(api, view["uuid"]) == [(True, grace)]


async def test_a_deletion_by_force_gives_none_and_overtakes_one_that_does_once(api: ApiWorld) -> None:
    forced = (await make(api, name="forced"))["uuid"]
    assert (await api.member.delete("/v1/capsules/forced?force=true")).status_code == 204
    assert (await api.member.delete("/v1/capsules/forced")).status_code == 204
    assert deletions(api, forced) == [(False, None)]
    hurried = (await make(api, name="hurried"))["uuid"]
    for query in ("", "?force=true", "?force=1"):
        assert (await api.member.delete(f"/v1/capsules/hurried{query}")).status_code == 204
    assert deletions(api, hurried) == [(True, None), (False, None)]
    assert error_of(await api.member.delete("/v1/capsules/hurried?force=perhaps"))[0] == 400


async def test_limits_are_shown_and_not_counted(api: ApiWorld) -> None:
    resources = {"requests": {"cpu": "500m", "memory": "64Mi"}, "limits": {"cpu": 2, "memory": "1Gi"}}
    view = await make(api, resources=resources)
    web, plain = view["containers"]
    assert (web["cpu"], web["memory"], web["limits"]) == (0.5, "64", {"cpu": 2.0, "memory": "1024"})
    assert plain["limits"] == {"cpu": 0.0, "memory": "0"}
    assert (view["cpu"], view["memory"]) == (0.5, "64")
    usage = (await api.member.get("/v1/quotas/p1", params={"usages": "true"})).json()
    assert (usage["cpu"]["in_use"], usage["memory"]["in_use"]) == (0.5, 64)
    low = template("low", resources={"requests": {"cpu": 1}, "limits": {"cpu": 0.5}})
    refused = await api.member.post("/v1/capsules", json={"template": low})
    assert error_of(refused)[0] == 400
    assert "'template.spec.containers[0].resources.limits.cpu'" in refused.text


async def test_nobody_has_privileged_containers_in_capsules_either(api: ApiWorld) -> None:
    body = {"template": template(securityContext={"privileged": True})}
    for client in (api.member, api.admin):
        assert error_of(await client.post("/v1/capsules", json=body)) == (403, "policy-not-authorized")
    assert (await api.member.get("/v1/capsules/shop")).status_code == 404
    unasked = {"template": template(securityContext={"privileged": False})}
    assert (await api.member.post("/v1/capsules", json=unasked)).status_code == 202


async def test_a_list_has_pages_and_links(api: ApiWorld) -> None:
    made = []
    for number in range(3):
        made.append((await make(api, name=f"shop-{number}"))["uuid"])
        api.clock.advance(1)
    first = (await api.member.get("/v1/capsules", params={"limit": 2})).json()
    assert [one["uuid"] for one in first["capsules"]] == made[:2]
    assert first["capsules"][0]["links"]
    second = (await api.member.get(first["next"])).json()
    assert [one["uuid"] for one in second["capsules"]] == made[2:]
    by_name = (await api.member.get("/v1/capsules", params={"sort_key": "name", "sort_dir": "desc"})).json()
    assert [one["name"] for one in by_name["capsules"]] == ["shop-2", "shop-1", "shop-0"]
    assert error_of(await api.other.get("/v1/capsules", params={"marker": made[0]}))[0] == 404
    assert error_of(await api.member.get("/v1/capsules", params={"sort_key": "nonsense"}))[0] == 400


async def test_containers_of_capsules_are_in_no_list_and_found_by_uuid_alone(api: ApiWorld) -> None:
    view = await make(api)
    await runs(api, view)
    plain = await api.create(name="plain")
    listed = (await api.member.get("/v1/containers")).json()["containers"]
    assert [one["uuid"] for one in listed] == [plain["uuid"]]
    one = view["containers"][0]
    shown = await api.member.get(f"/v1/containers/{one['uuid']}")
    assert shown.status_code == 200
    assert (shown.json()["name"], shown.json()["status"]) == (one["name"], "Running")
    assert (await api.member.get(f"/v1/containers/{one['name']}")).status_code == 404
    assert (await api.member.get(f"/v1/containers/{view['uuid']}")).status_code == 404
    assert (await api.member.get(f"/v1/capsules/{one['uuid']}")).status_code == 404
    assert (await api.member.get(f"/v1/capsules/{plain['uuid']}")).status_code == 404


async def test_a_capsule_and_a_container_may_have_the_same_name(api: ApiWorld) -> None:
    await api.create(name="shop")
    view = await make(api)
    assert (await show(api, "shop"))["uuid"] == view["uuid"]
    assert (await api.member.get("/v1/containers/shop")).json()["uuid"] != view["uuid"]
    await make(api)
    assert error_of(await api.member.get("/v1/capsules/shop"))[0] == 409


async def test_a_capsule_without_a_name_is_called_by_its_uuid(api: ApiWorld) -> None:
    view = await make(api, name=None)
    assert view["name"] is None
    assert view["containers"][0]["name"] == f"capsule-{view['uuid']}-alpha-1"


async def test_a_cached_container_of_a_capsule_is_shown_as_it_is_now(api: ApiWorld) -> None:
    view = await make(api)
    await runs(api, view)
    uuid = view["containers"][0]["uuid"]
    assert (await api.member.get(f"/v1/containers/{uuid}")).json()["status"] == "Running"
    await runs(api, view, web=SeenState.RESTARTING)
    assert (await api.member.get(f"/v1/containers/{uuid}")).json()["status"] == "Restarting"


async def test_what_may_be_looked_at_in_a_container_of_a_capsule(api: ApiWorld) -> None:
    view = await make(api, stdin=True)
    await runs(api, view)
    at = f"/v1/containers/{view['containers'][0]['uuid']}"
    for method, path in [
        ("GET", "logs"), ("GET", "stats"), ("GET", "top"), ("GET", "attach"),
        ("GET", "container_actions"), ("GET", "network_list"),
    ]:  # fmt: skip
        response = await api.member.request(method, f"{at}/{path}")
        assert response.status_code == 200, (path, response.text)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "start"), ("POST", "stop"), ("POST", "reboot"), ("POST", "kill"), ("POST", "pause"), ("POST", "rebuild"),
        ("POST", "commit?repository=x"), ("POST", "network_attach?network=bridge"), ("DELETE", ""), ("DELETE", "?stop=true"),
    ],
)  # fmt: skip
async def test_a_container_of_a_capsule_is_not_changed_by_itself(api: ApiWorld, method: str, path: str) -> None:
    view = await make(api)
    await runs(api, view)
    response = await api.member.request(
        method, f"/v1/containers/{view['containers'][0]['uuid']}/{path}".replace("/?", "?").rstrip("/")
    )
    assert error_of(response)[0] == 409
    assert view["uuid"] in response.text
    assert (await show(api, "shop"))["status"] == "Running"


async def test_a_container_of_a_capsule_is_not_patched(api: ApiWorld) -> None:
    view = await make(api)
    await runs(api, view)
    response = await api.member.patch(f"/v1/containers/{view['containers'][0]['uuid']}", json={"memory": "64"})
    assert error_of(response)[0] == 409


async def test_others_find_neither_the_capsule_nor_its_containers(api: ApiWorld) -> None:
    view = await make(api)
    await runs(api, view)
    child = view["containers"][0]["uuid"]
    for path in (f"capsules/{view['uuid']}", "capsules/shop", f"containers/{child}", f"containers/{child}/logs"):
        assert error_of(await api.other.get(f"/v1/{path}"))[0] == 404
    assert error_of(await api.other.delete("/v1/capsules/shop"))[0] == 404
    assert error_of(await api.other.post(f"/v1/containers/{child}/execute", params={"command": "id"}))[0] == 404
    assert (await api.other.get("/v1/capsules")).json()["capsules"] == []
    assert error_of(await api.member.get("/v1/capsules", params={"all_projects": "1"}))[0] == 403
    assert len((await api.admin.get("/v1/capsules", params={"all_projects": "1"})).json()["capsules"]) == 1
    assert (await show(api, "shop", api.admin))["host"] == "n1"


async def test_readers_look_and_do_not_touch(api: ApiWorld) -> None:
    await make(api)
    assert (await api.reader.get("/v1/capsules/shop")).status_code == 200
    assert error_of(await api.reader.delete("/v1/capsules/shop"))[0] == 403
    assert error_of(await api.reader.post("/v1/capsules", json={"template": MINIMAL}))[0] == 403
    assert error_of(await api.client("nobody").get("/v1/capsules"))[0] == 403


async def test_without_a_node_that_has_capsules_none_is_accepted(api: ApiWorld) -> None:
    await api.world.node(capabilities=[str(one) for one in Capability if one is not Capability.CAPSULES])
    response = await api.member.post("/v1/capsules", json={"template": MINIMAL})
    assert error_of(response)[0] == 400
    assert "No host here offers capsules" in response.text


async def test_labels_of_ours_are_refused(api: ApiWorld) -> None:
    body = template()
    body["metadata"]["labels"] = {"io.zun.owner": "me"}
    assert error_of(await api.member.post("/v1/capsules", json={"template": body}))[0] == 400


async def test_a_pull_policy_counts_for_administrators_alone(api: ApiWorld) -> None:
    mine = await make(api, imagePullPolicy="Always")
    theirs = await make(api, api.admin, imagePullPolicy="Always")
    for view, expected in ((mine, "ifnotpresent"), (theirs, "always")):
        child = api.world.entry(view["uuid"]).record().children[0]
        assert child.image_source.pull_policy == expected


async def test_there_is_nothing_else_at_a_capsule(api: ApiWorld) -> None:
    await make(api)
    assert error_of(await api.member.patch("/v1/capsules/shop", json={}))[0] == 405
    assert error_of(await api.member.get("/v1/capsules/shop/logs"))[0] == 404


async def test_one_transaction_records_a_capsule(api: ApiWorld) -> None:
    before = await api.world.store.revision()
    view = await make(api)
    assert await api.world.store.revision() == before + 1
    assert await api.world.store.get(keys.container(view["uuid"])) is not None
