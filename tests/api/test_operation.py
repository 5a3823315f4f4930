# SPDX-License-Identifier: Apache-2.0
"""What operators look at: the health check and the metrics."""

from pathlib import Path

from support.api import ApiWorld
from zun.api.health import not_disabled, view_follows
from zun.model.records import SeenState


async def test_the_health_check_needs_no_token_and_says_ok(api: ApiWorld) -> None:
    for path in ("/healthcheck", "/healthcheck/"):
        response = await api.stranger.get(path)
        assert (response.status_code, response.text) == (200, "OK")
        assert "openstack-api-version" not in response.headers


async def test_the_health_check_gives_the_reasons_when_requests_should_go_elsewhere(api: ApiWorld) -> None:
    api.unhealthy = "The lights are out."
    response = await api.stranger.get("/healthcheck")
    assert (response.status_code, response.text) == (503, "The lights are out.\n")


def test_an_operators_file_takes_the_server_out(tmp_path: Path) -> None:
    check = not_disabled(tmp_path / "disabled")
    assert check() is None
    (tmp_path / "disabled").touch()
    assert check() == "Disabled by an operator: disabled exists."


async def test_a_view_that_does_not_follow_is_unhealthy_after_a_while(api: ApiWorld) -> None:
    check = view_follows(api.world.view, api.clock)
    assert check() is None
    api.world.view.stale_since = api.clock.now()
    assert check() is None
    api.clock.advance(30)
    assert check() == "The store has not answered for 30 seconds; reads show what was last known."


def figure(text: str, name: str) -> float:
    return float(next(line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{name} ")))


async def metrics(api: ApiWorld) -> str:
    response = await api.stranger.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return response.text


async def test_requests_are_counted_by_route_and_never_by_name_or_id(api: ApiWorld) -> None:
    uuid = await api.running()
    await api.member.get(f"/v1/containers/{uuid}")
    await api.member.get(f"/v1/containers/{uuid}")
    await api.member.get("/v1/containers/nothing-like-it")
    await api.stranger.get("/v1/containers")
    text = await metrics(api)
    assert figure(text, 'zun_http_requests_total{method="GET",route="container_show",status="200"}') == 2
    assert figure(text, 'zun_http_requests_total{method="GET",route="container_show",status="404"}') == 1
    assert figure(text, 'zun_http_request_seconds_count{method="GET",route="container_show"}') == 3
    assert uuid not in text
    assert "nothing-like-it" not in text


async def test_refused_transitions_are_counted(api: ApiWorld) -> None:
    uuid = await api.running()
    assert (await api.member.post(f"/v1/containers/{uuid}/unpause")).status_code == 409
    text = await metrics(api)
    assert figure(text, 'zun_refused_transitions_total{route="container_unpause"}') == 1


async def test_what_there_is_is_counted_when_somebody_asks(api: ApiWorld) -> None:
    one = await api.running()
    await api.running()
    text = await metrics(api)
    assert figure(text, 'zun_containers{status="Running"}') == 2
    assert figure(text, 'zun_containers{status="Stopped"}') == 0
    assert figure(text, 'zun_nodes{state="up"}') == 1
    assert figure(text, "zun_view_lag_revisions") == 0
    assert figure(text, "zun_view_revision") == await api.world.store.revision()
    await api.world.sees(one, SeenState.EXITED)
    await api.create()
    text = await metrics(api)
    assert figure(text, 'zun_containers{status="Running"}') == 1
    assert figure(text, 'zun_containers{status="Stopped"}') == 1
    assert figure(text, "zun_containers_pending") == 1
    await api.world.node_dies()
    text = await metrics(api)
    assert figure(text, 'zun_containers{status="Unknown"}') == 2
    assert figure(text, 'zun_nodes{state="down"}') == 1


async def test_the_process_shows_its_memory(api: ApiWorld) -> None:
    assert figure(await metrics(api), "process_resident_memory_bytes") > 1_000_000
