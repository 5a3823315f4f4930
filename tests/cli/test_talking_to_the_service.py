# SPDX-License-Identifier: Apache-2.0
"""Requests, answers, failures and exit codes, against scripted answers."""

import json
from collections.abc import Callable

import httpx
import pytest

from support.zunctl import Answer, refusal, run_here, scripted
from zun.cli.failures import Failure, Lost
from zun.cli.watch import Event, follow, read_events, views

ONE = {
    "uuid": "0a1b2c3d-0000-4000-8000-000000000001", "name": "web", "image": "nginx", "status": "Running", "task_state": None,
    "status_detail": "Up 3 mins", "status_reason": None, "created_at": "2026-01-01 10:00:00", "addresses": {}, "memory": "512",
    "cpu": 1.0, "tty": False, "health": None,
}  # fmt: skip


def raising(error: Exception) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (lambda _: refusal(409, "Cannot stop it."), 1, "Cannot stop it."),
        (lambda _: refusal(404, "There is no such container."), 4, "There is no such container."),
        (lambda _: refusal(401, "x"), 3, "does not accept the token"),
        (lambda _: httpx.Response(502, text="<html>"), 1, "502"),
        (lambda _: httpx.Response(200, text="<html>"), 3, "no JSON"),
        (raising(httpx.ConnectError("refused")), 3, "Is the service running?"),
        (raising(httpx.ReadTimeout("slow")), 3, "in time"),
        (raising(httpx.RemoteProtocolError("cut")), 3, "broke"),
    ],
)
def test_every_failure_is_one_line_and_an_exit_code(
    answer: Callable[[httpx.Request], httpx.Response], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(answer, "show", "web") == code
    told = capsys.readouterr().err
    assert said in told
    assert told.startswith("zunctl: ")
    assert told.count("\n") == 1


def test_wrong_usage_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(lambda _: refusal(500, "never asked"), "logs") == 2
    assert run_here(lambda _: refusal(500, "never asked"), "nonsense") == 2
    assert run_here(lambda _: refusal(500, "never asked"), "run", "-m", "lots", "alpine") == 2
    assert "512m" in capsys.readouterr().err


def test_debug_shows_requests_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    made = {"registry": {"name": "r", "domain": "d", "password": "***"}}
    arguments = ("registry", "create", "reg", "example.org", "-u", "me", "--password", "hunter2")
    assert run_here(lambda _: httpx.Response(201, json=made), *arguments, debug=True) == 0
    told = capsys.readouterr().err
    assert "> POST http://service/v1/registries" in told
    assert "hunter2" not in told
    assert "a-secret-token" not in told


def test_a_list_is_followed_page_after_page_also_behind_a_proxy() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("marker") is None:
            following = "http://inner:9517/v1/containers?limit=1&marker=a"
            return httpx.Response(200, json={"containers": [{"n": 1}], "next": following})
        assert request.url.host == "outer"
        assert request.url.path == "/container/v1/containers"
        return httpx.Response(200, json={"containers": [{"n": 2}], "next": None})

    client = scripted(answer, url="http://outer/container")
    assert client.items("/v1/containers", "containers") == [{"n": 1}, {"n": 2}]


def test_every_request_names_the_newest_microversion() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["OpenStack-API-Version"] == "container 1.40"
        return httpx.Response(200, json=[])

    scripted(answer).get("/v1/x")


def test_several_are_all_tried_and_each_failure_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/b"):
            return refusal(404, "There is no b.")
        return httpx.Response(202 if request.method == "POST" else 200, json=ONE | {"name": request.url.path[-1]})

    assert run_here(answer, "stop", "--no-wait", "a", "b", "c") == 4
    told = capsys.readouterr()
    assert told.out == "a\nc\n"
    assert "b" in told.err


def test_the_beginning_of_an_id_is_enough_unless_it_is_ambiguous(capsys: pytest.CaptureFixture[str]) -> None:
    others = [ONE, ONE | {"uuid": "0a1bffff-0000-4000-8000-000000000002"}]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/containers":
            return httpx.Response(200, json={"containers": others, "next": None})
        return refusal(404, "There is no such container.")

    assert run_here(answer, "show", "0a1b2", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "web"
    assert run_here(answer, "show", "0a1b") == 1
    assert "give more of the id" in capsys.readouterr().err


def test_ps_hides_what_ended_and_prints_whole_cells_into_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    found = {"containers": [ONE, ONE | {"name": "old", "status": "Stopped"}], "next": None}
    assert run_here(lambda _: httpx.Response(200, json=found), "ps") == 0
    table = capsys.readouterr().out
    assert ONE["uuid"] in table
    assert "Running (up 3 mins)" in table
    assert "old" not in table
    assert run_here(lambda _: httpx.Response(200, json=found), "ps", "-aq") == 0
    assert capsys.readouterr().out.split() == [ONE["uuid"]] * 2


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_programs_get_the_whole_object(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(lambda _: httpx.Response(200, json=ONE), "inspect", "web", "-o", output) == 0
    assert "created_at" in capsys.readouterr().out


# Events


def test_events_are_read_with_signs_of_life_between_them() -> None:
    lines = ["id: 7", "event: changed", 'data: {"container": {}}', "", ": still here", "", "event: x", ""]
    assert list(read_events(iter(lines))) == [Event("changed", {"container": {}}, "7"), Event("beat", {})]


def test_a_broken_event_stream_goes_on_where_it_stopped() -> None:
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params.get("since"))
        number = len(asked)
        if number == 3:
            raise httpx.ConnectError("restarting")
        return httpx.Response(200, text=f'id: {number}\nevent: changed\ndata: {{"n": {number}}}\n\n')

    pauses: list[float] = []
    events = follow(scripted(answer), sleep=pauses.append)
    assert [next(events).data["n"] for _ in range(3)] == [1, 2, 4]
    assert asked == [None, "1", "2", "2"]
    assert len(pauses) == 3


def test_a_service_that_stays_away_ends_the_following() -> None:
    with pytest.raises(Lost):
        list(follow(scripted(raising(httpx.ConnectError("refused"))), sleep=lambda _: None))


def test_a_refused_watch_is_not_tried_again() -> None:
    with pytest.raises(Failure, match="not yours"):
        list(follow(scripted(lambda _: refusal(403, "not yours")), sleep=lambda _: None))


@pytest.mark.parametrize(("project", "asked"), [("p1", None), ("p2", "True")])
def test_waiting_for_somebody_elses_container_watches_all_projects(project: str, asked: str | None) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/watch":
            assert request.url.params.get("all_projects") == asked
            return httpx.Response(200, text='id: 1\nevent: deleted\ndata: {"uuid": "u"}\n\n')
        return httpx.Response(200, json=ONE | {"project_id": project})

    assert next(views(scripted(answer), "u")) is None
