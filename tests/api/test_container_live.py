# SPDX-License-Identifier: Apache-2.0
"""What a node answers at once: logs, exec, attach, top, stats, archives."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from support.api import ApiWorld, error_of
from zun.drivers.runtime.types import Channel, Chunk, ExecRequest, LogQuery
from zun.services.nodelive_fake import FakeSession

C = "/v1/containers"


async def test_logs_are_one_json_string(api: ApiWorld) -> None:
    uuid = await api.running()
    api.node.logs_of[uuid] = [Chunk(Channel.STDOUT, b"out\n"), Chunk(Channel.STDERR, b"err \xff\n")]
    response = await api.member.get(f"{C}/{uuid}/logs")
    assert response.json() == "out\nerr \ufffd\n"
    assert (await api.member.get(f"{C}/{uuid}/logs", params={"stderr": "no"})).json() == "out\n"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, LogQuery()),
        ({"tail": "all", "since": "None", "timestamps": "False"}, LogQuery()),
        ({"tail": "10", "timestamps": "YES"}, LogQuery(tail=10, timestamps=True)),
        ({"tail": "many"}, LogQuery()),
        ({"since": "1700000000.5"}, LogQuery(since=1700000000.5)),
        ({"since": "2023-11-14 22:13:20,500"}, LogQuery(since=1700000000.5)),
    ],
)
async def test_log_queries_in_the_spellings_of_clients(
    api: ApiWorld, params: dict[str, str], expected: LogQuery
) -> None:
    uuid = await api.running()
    assert (await api.member.get(f"{C}/{uuid}/logs", params=params)).status_code == 200
    assert api.node.asked[-1] == ("logs", uuid, expected)


@pytest.mark.parametrize("params", [{"since": "yesterday"}, {"since": "nan"}, {"stdout": "maybe"}, {"since": "1e400"}])
async def test_bad_log_queries(api: ApiWorld, params: dict[str, str]) -> None:
    uuid = await api.running()
    assert error_of(await api.member.get(f"{C}/{uuid}/logs", params=params))[0] == 400


async def test_a_command_runs_and_tells_output_and_code(api: ApiWorld) -> None:
    async def program(session: FakeSession, request: ExecRequest | None) -> int:
        assert request is not None
        await session.emit(" ".join(request.argv).encode() + b"\xff")
        return 3

    uuid = await api.running()
    api.node.programs["ls"] = program
    url = f"{C}/{uuid}/execute"
    expected = {"output": "ls -l /a b\ufffd", "exit_code": 3, "exec_id": None, "proxy_url": None}
    assert (await api.member.post(url, params={"command": '"ls" "-l" "/a b"'})).json() == expected
    assert (await api.member.post(url, json={"command": ["ls", "-l", "/a b"]})).json() == expected
    binary = (await api.member.post(url, json={"command": "ls x", "encoding": "base64"})).json()
    assert base64.b64decode(binary["output"]) == b"ls x\xff"


async def test_an_interactive_command_is_prepared_for_a_console(api: ApiWorld) -> None:
    uuid = await api.running()
    response = await api.member.post(
        f"{C}/{uuid}/execute", params={"command": "sh", "run": "False", "interactive": "True"}
    )
    result = response.json()
    assert (result["output"], result["exit_code"]) == (None, None)
    assert len(result["exec_id"]) == 64
    url = urlsplit(result["proxy_url"])
    assert (url.scheme, url.netloc, url.path) == ("ws", "zun.test:9517", "/v1/console")
    query = parse_qs(url.query)
    assert (query["uuid"], query["exec_id"]) == ([uuid], [result["exec_id"]])
    assert query["token"]
    _, request = api.node.execs[result["exec_id"]]
    assert (request.tty, request.stdin) == (True, True)


async def test_more_of_a_command_can_be_said(api: ApiWorld) -> None:
    uuid = await api.running()
    body = {"command": ["env"], "run": False, "tty": True, "environment": {"A": "1"}, "workdir": "/srv"}
    result = (await api.member.post(f"{C}/{uuid}/execute", json=body)).json()
    _, request = api.node.execs[result["exec_id"]]
    assert request == ExecRequest(["env"], tty=True, environment={"A": "1"}, workdir="/srv")


async def test_attach_answers_with_the_url_of_a_console(api: ApiWorld) -> None:
    uuid = await api.running(interactive=True)
    url = urlsplit((await api.member.get(f"{C}/{uuid}/attach")).json())
    assert (url.scheme, url.path, parse_qs(url.query)["uuid"]) == ("ws", "/v1/console", [uuid])
    plain = await api.running()
    assert error_of(await api.member.get(f"{C}/{plain}/attach")) == (400, "no-interactive-flag")


async def test_sizes_are_passed_on(api: ApiWorld) -> None:
    uuid = await api.running(interactive=True)
    response = await api.member.post(f"{C}/{uuid}/resize", params={"h": "24", "w": "80"})
    assert (response.status_code, response.content) == (200, b"null")
    assert (
        error_of(
            await api.member.post(f"{C}/{uuid}/execute_resize", params={"exec_id": "a" * 64, "h": "24", "w": "80"})
        )[0]
        == 400
    )


async def test_top_and_stats_have_the_keys_that_clients_print(api: ApiWorld) -> None:
    uuid = await api.running(name="web")
    top = (await api.member.get(f"{C}/{uuid}/top", params={"ps_args": "None"})).json()
    assert set(top) == {"Titles", "Processes"}
    assert api.node.asked[-1] == ("top", uuid, None)
    stats = (await api.member.get(f"{C}/{uuid}/stats")).json()
    assert set(stats) == {
        "CONTAINER",
        "CPU %",
        "MEM USAGE(MiB)",
        "MEM LIMIT(MiB)",
        "MEM %",
        "BLOCK I/O(B)",
        "NET I/O(B)",
    }
    assert stats["CONTAINER"] == "web"
    assert "/" in stats["NET I/O(B)"]


async def test_archives_go_in_and_out_in_base64(api: ApiWorld) -> None:
    uuid = await api.running()
    tar = bytes(range(256))
    data = base64.b64encode(tar).decode()
    response = await api.member.post(f"{C}/{uuid}/put_archive", params={"path": "/data"}, json={"data": data})
    assert (response.status_code, response.content) == (200, b"null")
    assert api.node.files[uuid, "/data"] == tar
    archive = (await api.member.get(f"{C}/{uuid}/get_archive", params={"path": "/data"})).json()
    assert base64.b64decode(archive["data"]) == tar
    assert set(archive["stat"]) == {"name", "size", "mode", "mtime", "linkTarget"}


async def test_archives_below_1_25_are_text(api: ApiWorld) -> None:
    uuid = await api.running()
    client = api.at("1.24")
    await client.post(f"{C}/{uuid}/put_archive", params={"path": "/data"}, json={"data": "plain text"})
    assert api.node.files[uuid, "/data"] == b"plain text"
    archive = (await client.get(f"{C}/{uuid}/get_archive", params={"path": "/data"})).json()
    assert archive["data"] == "plain text"


async def test_a_path_that_is_not_there_is_400(api: ApiWorld) -> None:
    uuid = await api.running()
    assert error_of(await api.member.get(f"{C}/{uuid}/get_archive", params={"path": "/none"}))[0] == 400
    assert error_of(await api.member.get(f"{C}/{uuid}/get_archive"))[0] == 400


async def test_a_node_that_is_away_is_503_with_its_name(api: ApiWorld) -> None:
    uuid = await api.running()
    await api.world.node_dies()
    for call in ("stats", "top"):
        status, _ = error_of(await api.member.get(f"{C}/{uuid}/{call}"))
        assert status in (409, 503)
