# SPDX-License-Identifier: Apache-2.0
"""Quotas of projects and classes."""

import pytest

from support.api import ApiWorld, error_of

DEFAULTS = {"containers": 40, "memory": 51200, "cpu": 20, "disk": 100}


async def test_a_project_sees_its_limits_and_what_it_uses(api: ApiWorld) -> None:
    await api.running(cpu=1.5, memory="300")
    assert (await api.reader.get("/v1/quotas/p1")).json() == DEFAULTS
    for word in ("True", "1", "yes"):
        usages = (await api.reader.get(f"/v1/quotas/p1?usages={word}")).json()
        assert usages["cpu"] == {"limit": 20, "in_use": 1.5}
        assert usages["containers"] == {"limit": 40, "in_use": 1.0}
        assert usages["memory"] == {"limit": 51200, "in_use": 300.0}
    for word in ("False", ""):
        assert (await api.reader.get(f"/v1/quotas/p1?usages={word}")).json() == DEFAULTS
    assert error_of(await api.reader.get("/v1/quotas/p1?usages=perhaps"))[0] == 400


async def test_other_projects_are_none_of_ones_business(api: ApiWorld) -> None:
    for path in ("/v1/quotas/p1", "/v1/quotas/p1?usages=True", "/v1/quotas/p1/defaults"):
        assert error_of(await api.other.get(path)) == (403, "policy-not-authorized")
        assert (await api.admin.get(path)).status_code == 200


async def test_an_admin_sets_limits_as_numbers_or_digits_and_takes_them_back(api: ApiWorld) -> None:
    changed = await api.admin.put("/v1/quotas/p1", json={"containers": "3", "memory": -1})
    assert changed.json() == DEFAULTS | {"containers": 3, "memory": -1}
    assert (await api.admin.put("/v1/quotas/p1?cpu=7")).json() == DEFAULTS | {"containers": 3, "memory": -1, "cpu": 7}
    assert (await api.reader.get("/v1/quotas/p1")).json()["containers"] == 3
    assert (await api.reader.get("/v1/quotas/p1/defaults")).json() == DEFAULTS
    cleared = await api.admin.delete("/v1/quotas/p1")
    assert (cleared.status_code, cleared.json()) == (200, None)
    assert (await api.reader.get("/v1/quotas/p1")).json() == DEFAULTS


@pytest.mark.parametrize(
    "body",
    [{"containers": -2}, {"cpu": "many"}, {"memory": 1.5}, {"disk": True}, {"gpus": 1}, {"cpu": "9" * 40}, {"cpu": []}],
)
async def test_bad_limits_are_refused_and_change_nothing(api: ApiWorld, body: dict[str, object]) -> None:
    for path in ("/v1/quotas/p1", "/v1/quota_classes/default"):
        assert error_of(await api.admin.put(path, json=body)) == (400, "schema-validation-error")
        assert (await api.admin.get(path)).json() == DEFAULTS


async def test_only_admins_change_limits(api: ApiWorld) -> None:
    assert error_of(await api.member.put("/v1/quotas/p1", json={"cpu": 1}))[0] == 403
    assert error_of(await api.member.delete("/v1/quotas/p1"))[0] == 403
    assert error_of(await api.member.get("/v1/quota_classes/default"))[0] == 403
    assert error_of(await api.member.put("/v1/quota_classes/default", json={"cpu": 1}))[0] == 403


async def test_the_default_class_counts_for_projects_without_limits_of_their_own(api: ApiWorld) -> None:
    changed = await api.admin.put("/v1/quota_classes/default", json={"containers": 1, "cpu": 5})
    assert changed.json() == DEFAULTS | {"containers": 1, "cpu": 5}
    await api.admin.put("/v1/quotas/p1", json={"cpu": 9})
    assert (await api.reader.get("/v1/quotas/p1")).json() == DEFAULTS | {"containers": 1, "cpu": 9}
    assert (await api.reader.get("/v1/quotas/p1/defaults")).json()["cpu"] == 5
    await api.create()
    refused = await api.member.post("/v1/containers", json={"image": "busybox"})
    assert error_of(refused) == (403, "over-quota")


async def test_another_class_may_be_set_and_has_no_effect(api: ApiWorld) -> None:
    assert (await api.admin.get("/v1/quota_classes/gold")).json() == DEFAULTS
    assert (await api.admin.put("/v1/quota_classes/gold", json={"cpu": 1})).json() == DEFAULTS | {"cpu": 1}
    assert (await api.reader.get("/v1/quotas/p1")).json() == DEFAULTS


async def test_there_is_no_list_of_quotas(api: ApiWorld) -> None:
    assert error_of(await api.admin.get("/v1/quotas"))[0] == 404
