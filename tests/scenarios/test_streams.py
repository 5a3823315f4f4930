# SPDX-License-Identifier: Apache-2.0
"""What flows: logs, consoles, archives, changes. Large things flow through without filling the service's memory."""

import base64
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from support.service import Service, eventually
from support.stage import FOREVER, IMAGE, Stage

MIB = 1 << 20
ROOM = 48 * MIB
"""What a large stream may take of the service's memory on top of what it held before."""


def frames(content: bytes) -> dict[int, bytes]:
    """The channels of a multiplexed log."""
    channels: dict[int, bytes] = {}
    at = 0
    while at < len(content):
        length = int.from_bytes(content[at + 1 : at + 5], "big")
        channels[content[at]] = channels.get(content[at], b"") + content[at + 5 : at + 5 + length]
        at += 5 + length
    return channels


def test_a_log_is_followed_to_its_end_with_its_channels(stage: Stage) -> None:
    name = stage.make(command=["sh", "-c", "for n in 1 2 3; do echo out$n; echo err$n >&2; sleep 0.2; done; echo end"])
    path = f"/v1/containers/{name}/logs/stream"
    answer = stage.http.get(path, params={"follow": "true", "multiplexed": "true"})
    assert frames(answer.content) == {1: b"out1\nout2\nout3\nend\n", 2: b"err1\nerr2\nerr3\n"}
    assert stage.http.get(path, params={"stderr": "false", "tail": "1"}).content == b"end\n"


@pytest.mark.parametrize("turn", range(4))
def test_a_last_line_without_an_end_is_not_lost(stage: Stage, turn: int) -> None:
    name = stage.make(command=["sh", "-c", "echo first; sleep 0.5; printf last"])
    path = f"/v1/containers/{name}/logs/stream"
    assert stage.http.get(path, params={"follow": "true"}).content == b"first\nlast"


def test_a_hundred_megabytes_of_log_are_followed_with_little_memory(stage: Stage) -> None:
    lines = "yes 0123456789012345678901234567890123456789012345678901234567890123456789012345678 | head -n 1300000"
    name = stage.make(command=["sh", "-c", f"sleep 1; {lines}"], memory=64, cpu=1)
    with watched_memory(stage.service) as grown:
        got = 0
        path = f"/v1/containers/{name}/logs/stream"
        with stage.http.stream("GET", path, params={"follow": "true"}, timeout=120) as answer:
            for chunk in answer.iter_raw():
                got += len(chunk)
    assert got == 1_300_000 * 80
    assert grown() < ROOM, f"{grown() / MIB:.0f} MiB"


class watched_memory:  # noqa: N801 - reads as what it does
    """Measures by how much the service's memory grows at most while the block runs."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __enter__(self) -> Any:
        self._service.forget_peak()
        before = self._service.memory_bytes()
        return lambda: self._service.peak_memory_bytes() - before

    def __exit__(self, *_: object) -> None:
        pass


def test_fifty_megabytes_go_in_and_come_out_unchanged_with_little_memory(stage: Stage) -> None:
    name, size = stage.shared(), 50 * MIB
    block = hashlib.sha256(b"block").digest() * 2048

    def packed() -> Iterator[bytes]:
        member = tarfile.TarInfo("blob")
        member.size = size
        yield member.tobuf()
        for _ in range(size // len(block)):
            yield block
        yield bytes(1024)

    path = f"/v1/containers/{name}/archive"
    with watched_memory(stage.service) as grown:
        put = stage.http.put(path, params={"path": "/tmp"}, content=packed())
        assert put.status_code == 204, put.text
        digest, got, seen = hashlib.sha256(), 0, b""
        with stage.http.stream("GET", path, params={"path": "/tmp/blob"}) as answer:
            assert json.loads(base64.b64decode(answer.headers["x-zun-path-stat"]))["size"] == size
            for chunk in answer.iter_raw():
                seen = chunk if not got else seen
                digest.update(chunk[max(0, 512 - got) :][: max(0, size + 512 - max(got, 512))])
                got += len(chunk)
    assert digest.digest() == hashlib.sha256(block * (size // len(block))).digest()
    assert grown() < ROOM, f"{grown() / MIB:.0f} MiB"
    stage.http.post(f"/v1/containers/{name}/execute", params={"command": "rm /tmp/blob"})


def test_the_base64_archive_says_where_to_go_when_it_is_too_large(stage: Stage) -> None:
    name = stage.make(memory=128)
    stage.http.post(
        f"/v1/containers/{name}/execute", json={"command": ["sh", "-c", "dd if=/dev/zero of=/root/big bs=1M count=70"]}
    )
    answer = stage.http.get(f"/v1/containers/{name}/get_archive", params={"path": "/root/big"})
    assert 400 <= answer.status_code < 500, answer.text[:300]
    assert "/archive" in answer.json()["errors"][0]["title"]


def test_exec_has_no_time_limit_keeps_bytes_and_passes_the_code_on(stage: Stage) -> None:
    path = f"/v1/containers/{stage.shared()}/execute"
    command = ["sh", "-c", "sleep 6; printf '\\377\\000\\001'; echo \"$WHO in $PWD\" >&2; exit 9"]
    body = {"command": command, "encoding": "base64", "environment": {"WHO": "me"}, "workdir": "/tmp"}
    said = stage.http.post(path, json=body).json()
    assert said["exit_code"] == 9
    output = base64.b64decode(said["output"])
    assert b"\xff\x00\x01" in output
    assert b"me in /tmp" in output
    assert stage.http.post(path, params={"command": "no-such-program"}).json()["exit_code"] in (126, 127)


def console(url: str, protocol: str) -> ClientConnection:
    """Open a console."""
    return connect(url, subprotocols=[protocol], open_timeout=60)  # type: ignore[list-item]


def test_a_console_with_channels_tells_apart_and_ends_with_the_code(stage: Stage) -> None:
    body = {"command": ["sh", "-c", "cat; echo oops >&2; exit 3"], "run": False, "interactive": True, "tty": False}
    granted = stage.http.post(f"/v1/containers/{stage.shared()}/execute", json=body).json()
    payload = bytes(range(256)) * 4096
    with console(granted["proxy_url"], "zun.v1") as socket:
        assert socket.subprotocol == "zun.v1"
        sender = threading.Thread(target=feed, args=(socket, payload))
        sender.start()
        channels: dict[int, bytes] = {}
        for message in socket:
            assert isinstance(message, bytes)
            channels[message[0]] = channels.get(message[0], b"") + message[1:]
        sender.join(timeout=60)
    assert channels[1] == payload
    assert channels[2] == b"oops\n"
    assert json.loads(channels[3])["exit_code"] == 3
    again = httpx.get(granted["proxy_url"].replace("ws://", "http://"))
    assert again.status_code >= 400, "a console is granted once"


def feed(socket: ClientConnection, payload: bytes) -> None:
    """Send everything, then the end of input."""
    for at in range(0, len(payload), 65536):
        socket.send(b"\0" + payload[at : at + 65536])
    socket.send(b"\5")


def test_a_plain_console_is_a_terminal(stage: Stage) -> None:
    body = {"command": ["sh"], "run": False, "interactive": True}
    granted = stage.http.post(f"/v1/containers/{stage.shared()}/execute", json=body).json()
    with console(granted["proxy_url"], "binary") as socket:
        size = {"exec_id": granted["exec_id"], "w": 91, "h": 31}
        assert stage.http.post(f"/v1/containers/{stage.shared()}/execute_resize", params=size).status_code == 200
        socket.send(b"stty size; exit\n")
        assert b"31 91" in b"".join(message for message in socket if isinstance(message, bytes))


def test_who_attaches_before_the_start_misses_nothing(stage: Stage) -> None:
    command = ["sh", "-c", "echo ready; read line; echo got $line; exit 7"]
    name = stage.make("Created", interactive=True, command=command)
    url = stage.http.get(f"/v1/containers/{name}/attach", params={"before_start": "true"}).json()
    with console(url, "zun.v1") as socket:
        socket.send(b"\0early\n")
        assert stage.http.post(f"/v1/containers/{name}/start").status_code == 202
        channels: dict[int, bytes] = {}
        for message in socket:
            assert isinstance(message, bytes)
            channels[message[0]] = channels.get(message[0], b"") + message[1:]
    assert channels[1] == b"ready\ngot early\n"
    assert json.loads(channels[3])["exit_code"] == 7


def changes(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """The events of a watch."""
    event: dict[str, Any] = {}
    for line in answer.iter_lines():
        if line.startswith(":"):
            continue
        if not line:
            if event:
                yield event
            event = {}
            continue
        key, _, value = line.partition(": ")
        event[key] = json.loads(value) if key == "data" else value


def test_a_watch_goes_on_where_it_broke_off(stage: Stage) -> None:
    body = {"image": IMAGE, "command": FOREVER, "name": stage.name(), "memory": 16}
    with stage.http.stream("GET", "/v1/watch", timeout=30) as answer:
        events = changes(answer)
        ready = next(events)
        assert ready["event"] == "ready"
        uuid = stage.http.post("/v1/containers", params={"run": "true"}, json=body).json()["uuid"]
        first = next(
            event for event in events if event["event"] == "changed" and event["data"]["container"]["uuid"] == uuid
        )
    stage.until(uuid, "Running")
    stage.http.delete(f"/v1/containers/{uuid}", params={"force": "true"})
    stage.until(uuid, "gone")
    with stage.http.stream("GET", "/v1/watch", headers={"Last-Event-ID": first["id"]}, timeout=30) as answer:
        seen = [next(event for event in changes(answer) if event.get("data", {}).get("uuid") == uuid)]
    assert seen[0]["event"] == "deleted"
    assert int(seen[0]["id"]) > int(first["id"]) >= int(ready["data"]["revision"])


def test_top_and_stats_and_the_log_of_an_ended_container(stage: Stage) -> None:
    name = stage.shared()
    assert any("sleep" in " ".join(row) for row in stage.http.get(f"/v1/containers/{name}/top").json()["Processes"])
    stats = eventually(lambda: stage.http.get(f"/v1/containers/{name}/stats").json(), "stats are there")
    assert 0 < stats["MEM USAGE(MiB)"] <= stats["MEM LIMIT(MiB)"] == 32
    ended = stage.make("Stopped", command=["sh", "-c", "echo bye"])
    assert stage.logs(ended) == "bye\n"
    packed = stage.http.get(f"/v1/containers/{ended}/archive", params={"path": "/etc/passwd"}).content
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["passwd"]
