# SPDX-License-Identifier: Apache-2.0
"""Refusals: their form, and which one a client gets for what."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.responses import Response

from support.api import ApiWorld, api_world, error_of
from zun.api.app import Around, layers
from zun.api.options import ApiOptions
from zun.api.requests import Call
from zun.api.routing import Route
from zun.base.clock import ManualClock
from zun.model.errors import Internal, Timeout, Unavailable
from zun.services.options import QuotaOptions
from zun.store.freshness import AWAY_SECONDS
from zun.store.interface import Compare, Op, TxnResult
from zun.store.memory import MemoryStore

C = "/v1/containers"


@pytest.mark.parametrize("path", [C, "/v1/nowhere", "/containers", "/v1/hosts", "/metricsx", "/v1/containers/x/start"])
async def test_without_a_token_every_url_answers_401_in_the_identity_services_form(api: ApiWorld, path: str) -> None:
    for client in (api.stranger, api.client("wrong-token")):
        response = await client.get(path)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == api.identity.challenge
        error = response.json()["error"]
        assert (error["code"], error["title"]) == (401, "Unauthorized")
        assert error["message"]


async def test_a_token_that_expires_is_refused_at_once_also_for_kept_answers(api: ApiWorld) -> None:
    assert (await api.member.get(C)).status_code == 200
    del api.identity.callers["member"]
    assert (await api.member.get(C)).status_code == 401


async def test_an_identity_service_that_is_away_is_503(api: ApiWorld) -> None:
    api.identity.away = True
    response = await api.member.get(C)
    assert error_of(response) == (503, "service-unavailable")
    assert "retry-after" not in response.headers  # python-zunclient falls over it


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", C, "GET, POST"),
        ("PATCH", C, "GET, POST"),
        ("HEAD", C, "GET, POST"),
        ("OPTIONS", C, "GET, POST"),
        ("PUT", "/v1/containers/x", "DELETE, GET, PATCH"),
        ("GET", "/v1/containers/x/start", "POST"),
        ("POST", "/v1/containers/x/logs", "GET"),
        ("PUT", "/v1/networks", "GET, POST"),
        ("GET", "/v1/services/1", None),
    ],
)
async def test_another_method_is_405_with_allow(api: ApiWorld, method: str, path: str, allow: str | None) -> None:
    response = await api.admin.request(method, path)
    if allow is None:
        assert response.status_code in (404, 405)
        return
    assert response.status_code == 405
    assert response.headers["allow"] == allow


@pytest.mark.parametrize(
    "path", ["/v1/nowhere", "//v1", "/v1//containers", "/v2/containers", "/v1/containers/a/b/c", "/v1/quotas"]
)
async def test_what_is_not_there_is_404(api: ApiWorld, path: str) -> None:
    assert error_of(await api.member.get(f"http://zun.test:9517{path}")) == (404, "")


async def test_who_excludes_json_gets_406(api: ApiWorld) -> None:
    assert error_of(await api.member.get(C, headers={"Accept": "text/html"})) == (406, "")
    assert (await api.member.get(C, headers={"Accept": "text/html, */*;q=0.1"})).status_code == 200


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/x-www-form-urlencoded", "text/plain"])
async def test_a_body_of_another_kind_is_415_where_json_is_needed(api: ApiWorld, kind: str) -> None:
    response = await api.member.post(C, content=b'{"image": "busybox"}', headers={"Content-Type": kind})
    assert error_of(response) == (415, "")


async def test_actions_and_deletions_take_any_kind_and_an_empty_body(api: ApiWorld) -> None:
    uuid = await api.running()
    headers = {"Content-Type": "application/octet-stream"}
    assert (await api.member.post(f"{C}/{uuid}/pause", headers=headers)).status_code == 202
    assert (await api.admin.delete(f"{C}/{uuid}?force=true", headers=headers)).status_code == 204


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"image": "busybox"', b"null", b"\xff\xfe", b"[" * 100_000])
async def test_malformed_json_counts_as_an_empty_body(api: ApiWorld, body: bytes) -> None:
    response = await api.member.post(C, content=body, headers={"Content-Type": "application/json"})
    assert error_of(response) == (400, "schema-validation-error")
    assert "'image' is required" in response.json()["errors"][0]["title"]


@pytest.mark.parametrize("body", [b"[]", b"5", b'"text"', b"true"])
async def test_json_that_is_no_object_is_refused(api: ApiWorld, body: bytes) -> None:
    response = await api.member.post(C, content=body, headers={"Content-Type": "application/json"})
    assert error_of(response) == (400, "schema-validation-error")


async def test_a_body_that_is_too_large_is_413() -> None:
    async with api_world(options=ApiOptions(max_body_bytes=2000)) as api:
        response = await api.member.post(C, json={"image": "busybox", "labels": {"a": "x" * 3000}})
        assert error_of(response) == (413, "too-large")


async def test_an_archive_too_large_for_json_names_the_way_that_has_no_limit() -> None:
    async with api_world(options=ApiOptions(max_archive_body_bytes=2000)) as api:
        response = await api.member.post(
            f"{C}/{await api.running()}/put_archive", json={"path": "/", "data": "A" * 3000}
        )
        assert error_of(response) == (413, "too-large")
        assert "/archive, which has no limit" in response.json()["errors"][0]["title"]


async def test_far_too_many_parameters_are_refused(api: ApiWorld) -> None:
    response = await api.member.get(f"{C}?" + "&".join(f"a{n}=1" for n in range(2000)))
    assert error_of(response) == (400, "invalid-value")


async def test_names_and_queries_in_strange_letters_do_no_harm(api: ApiWorld) -> None:
    for path in (f"{C}/%ff%fe", f"{C}/%00", f"{C}/%2e%2e%2fetc", f"{C}?name=%ff&name=%00", f"{C}?marker=%c3%28"):
        assert (await api.member.get(path)).status_code in (200, 400, 404)


async def test_quota_exceeded_is_403_and_names_the_resources() -> None:
    async with api_world(quota=QuotaOptions(containers=1, memory=100)) as api:
        response = await api.member.post(C, json={"image": "busybox", "memory": 512})
        assert error_of(response) == (403, "over-quota")
        assert "['memory']" in response.json()["errors"][0]["title"]


class RemoteStore(MemoryStore):
    """A store that has to be asked for its revision, and can be away."""

    away = False

    def known_revision(self) -> int | None:
        return None

    async def revision(self) -> int:
        self._reach()
        return await super().revision()

    async def transact(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        self._reach()
        return await super().transact(compares, success, failure)

    def _reach(self) -> None:
        if self.away:
            raise Unavailable("The store is away; try again later.")


async def test_with_the_store_away_reads_say_that_they_may_be_old_and_writes_are_503() -> None:
    store = RemoteStore(ManualClock())
    async with api_world(store=store) as api:
        uuid = (await api.create())["uuid"]
        for url in (C, f"{C}/{uuid}"):
            assert "warning" not in (await api.member.get(url)).headers
        store.away = True
        for url in (C, f"{C}/{uuid}"):
            response = await api.member.get(url)
            assert response.status_code == 200
            assert response.headers["warning"].startswith("110")
        assert error_of(await api.member.post(C, json={"image": "busybox"})) == (503, "service-unavailable")


async def test_every_read_says_that_it_may_be_old_and_none_that_does_not_come_from_the_store() -> None:
    async with api_world(store=RemoteStore(ManualClock())) as api:
        await api.world.node()
        api.world.view.stale_since = api.clock.now()
        for path in (
            "/v1/hosts",
            "/v1/services",
            "/v1/images",
            "/v1/registries",
            "/v1/availability_zones",
            "/v1/quotas/shop",
        ):
            response = await api.admin.get(path)
            assert response.status_code == 200, path
            assert response.headers["warning"].startswith("110"), path
        for path in ("/", "/v1", "/v1/openapi.json", "/healthcheck"):
            assert "warning" not in (await api.stranger.get(path)).headers, path


class Unasked(RemoteStore):
    """A store that nobody may ask from a certain moment on: it would never answer."""

    hangs = False

    def _reach(self) -> None:
        assert not self.hangs, "nobody waits for a store that is known to be away"
        super()._reach()


async def test_while_the_store_is_known_to_be_away_nobody_waits_for_it() -> None:
    store = Unasked(ManualClock())
    async with api_world(store=store) as api:
        uuid = (await api.create())["uuid"]
        store.away = True
        await api.member.get(C)
        api.clock.advance(AWAY_SECONDS)
        for _ in range(20):
            await asyncio.sleep(0)  # the view asks, and waits for its next turn
        store.hangs = True
        refused = [
            await api.member.post(C, json={"image": "busybox"}),
            await api.admin.delete(f"{C}/{uuid}", params={"force": "true"}),
            await api.member.patch(f"{C}/{uuid}", json={"name": "other"}),
            await api.member.get(f"{C}/{uuid}/container_actions"),
            await api.admin.put("/v1/quotas/shop", json={"containers": 5}),
        ]
        assert [error_of(response)[0] for response in refused] == [503] * len(refused)
        assert "nothing was" in refused[0].json()["errors"][0]["detail"]


async def _broken(api: ApiWorld, failure: Exception) -> tuple[int, dict[str, object]]:
    async def fail(_: Call) -> Response:
        raise failure

    around = Around(api.identity, api.world.view, api.clock, ApiOptions())
    api.app = layers([Route("GET", "/v1/broken", fail, "broken")], around)
    response = await api.client("member").get("/v1/broken")
    error_of(response)
    return response.status_code, response.json()["errors"][0]


@pytest.mark.parametrize("failure", [RuntimeError("the secret"), Internal("the secret"), KeyError("the secret")])
async def test_our_own_fault_is_500_with_an_id_and_without_the_cause(api: ApiWorld, failure: Exception) -> None:
    status, entry = await _broken(api, failure)
    assert (status, entry["title"], entry["code"]) == (500, "Internal Server Error", "container.")
    assert "correlation id" in str(entry["detail"])
    assert "secret" not in str(entry)


async def test_a_part_that_is_away_or_slow_is_named(api: ApiWorld) -> None:
    assert (await _broken(api, Unavailable("Node n1 is away.")))[0] == 503
    assert (await _broken(api, Timeout("Node n1 did not answer.")))[0] == 504
