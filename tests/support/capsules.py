# SPDX-License-Identifier: Apache-2.0
"""Somebody with capsules, who meets the service over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from support.asking import Asking
from support.service import Service, eventually
from support.stage import IMAGE

WAITS = ["sleep", "1000000"]


def template(
    name: str,
    *commands: list[str],
    init: list[str] | None = None,
    policy: str = "Always",
    grace: int | None = 0,
    **first: Any,
) -> dict[str, Any]:
    """Without a grace unless one is given: what only sleeps hears no SIGTERM as process 1, and would take all of it."""
    containers = [
        {"image": IMAGE, "name": f"part-{number}", "command": command} for number, command in enumerate(commands)
    ]
    containers[0] |= first
    spec: dict[str, Any] = {"restartPolicy": policy, "containers": containers}
    if grace is not None:
        spec["terminationGracePeriodSeconds"] = grace
    if init is not None:
        spec["initContainers"] = [{"image": IMAGE, "command": init}]
    return {"kind": "capsule", "metadata": {"name": name, "labels": {"of": name}}, "spec": spec}


class Capsules(Asking):
    """Somebody with capsules. With `again_seconds` the service may be away for a while."""

    def __init__(
        self, house: Service, token: str | None = None, version: str = "1.40", *, again_seconds: float = 0
    ) -> None:
        super().__init__(house, token, version, again_seconds=again_seconds)
        self.house = house

    def make(self, name: str, *commands: list[str], **fields: Any) -> dict[str, Any]:
        body = {"template": template(name, *commands, **fields)}
        while (answer := self.ask("POST", "/v1/capsules", json=body)) is None:
            if found := self.show(name):
                return found
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def show(self, ident: str) -> dict[str, Any]:
        answer = self.get(f"/v1/capsules/{ident}")
        return dict(answer.json()) if answer.status_code == 200 else {}

    def until(self, ident: str, status: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until it is so; says what it is instead."""
        seen: dict[str, Any] = {}

        def reached() -> bool:
            seen.clear()
            seen.update(self.show(ident) or {"status": "gone"})
            return bool(seen["status"] == status)

        try:
            eventually(reached, f"{ident} becomes {status}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {seen.get('status')}: {seen.get('status_reason')}") from None
        return seen

    def delete(self, ident: str, seconds: float = 60) -> None:
        lost = False
        while (answer := self.ask("DELETE", f"/v1/capsules/{ident}")) is None:
            lost = True
        assert answer.status_code == 204 or (lost and answer.status_code == 404), answer.text
        self.until(ident, "gone", seconds)

    def come_and_go(self, number: int, *, at_once: int = 4, seconds: float = 60) -> list[str]:
        """So many, made and deleted so many at a time, a third of them before they run; what went wrong with which.

        `seconds` is how long one may take to run, and to be gone.
        """

        def one(number: int) -> str:
            name, faults = f"many-{number}", []
            try:
                self.make(name, WAITS, init=["true"])
                if number % 3:
                    self.until(name, "Running", seconds)
            except AssertionError as error:
                faults.append(str(error))
            try:
                self.delete(name, seconds)
            except AssertionError as error:
                faults.append(str(error))
            return f"{name}: {'; '.join(faults)}" if faults else ""

        with ThreadPoolExecutor(at_once) as pool:
            try:
                return [fault for fault in pool.map(one, range(number)) if fault]
            finally:
                pool.shutdown(wait=False, cancel_futures=True)  # who is told to end begins no more

    def say_goodbye(self, volume: str) -> None:
        """One whose containers leave a word in a volume when they are told to end, and then do, is deleted; each word is there afterwards."""
        mount = {"name": "data", "mountPath": "/data"}
        wait = "trap 'echo bye > /data/{}; exit 0' TERM; echo > /data/ready-{}; while :; do sleep 0.1; done"
        made = template("polite", *(["sh", "-c", wait.format(one, one)] for one in "ab"), grace=60)
        read = template("reader", ["sh", "-c", "cat /data/a /data/b; sleep 1000000"])
        for text in (made, read):
            text["spec"]["volumes"] = [{"name": "data", "local": {"source": volume}}]
            for container in text["spec"]["containers"]:
                container["volumeMounts"] = [mount]
        assert self.http.post("/v1/capsules", json={"template": made}).status_code == 202
        uuid = self.until("polite", "Running")["containers"][0]["uuid"]
        eventually(lambda: self.runs_well(uuid, "ls", "/data/ready-a", "/data/ready-b"), "both listen")
        self.delete("polite")
        assert self.http.post("/v1/capsules", json={"template": read}).status_code == 202
        uuid = self.until("reader", "Running")["containers"][0]["uuid"]
        eventually(lambda: self.http.get(f"/v1/containers/{uuid}/logs").json() == "bye\nbye\n", "both said it")
        self.delete("reader")

    def cling(self) -> str:
        """One with a long grace is deleted, waits, and goes at once when it is deleted by force; its uuid."""
        uuid: str = self.make("clinging", WAITS, grace=3600)["uuid"]
        self.until("clinging", "Running")
        assert self.http.delete("/v1/capsules/clinging").status_code == 204
        self.house.give_time(0.5)
        assert self.show("clinging")["status"] == "Deleting"
        assert self.http.delete("/v1/capsules/clinging", params={"force": "true"}).status_code == 204
        self.until("clinging", "gone")
        return uuid

    def runs_well(self, uuid: str, *command: str) -> bool:
        """Whether a command in a container ends well."""
        answer = self.http.post(f"/v1/containers/{uuid}/execute", json={"command": list(command)})
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["exit_code"] == 0)

    def inside(self, uuid: str, *command: str) -> str:
        answer = self.http.post(f"/v1/containers/{uuid}/execute", json={"command": list(command)})
        assert answer.status_code == 200, answer.text
        assert answer.json()["exit_code"] == 0, answer.json()
        return str(answer.json()["output"]).strip()


def fall_ill(mine: Capsules) -> None:
    """A web server becomes ready, then unready, then so ill that it is started again; its neighbour notices nothing."""
    serve = ["sh", "-c", "mkdir -p /www; echo well > /www/index.html; rm -f /tmp/sick; exec httpd -f -p 8080 -h /www"]
    mine.make(
        "probed",
        serve,
        WAITS,
        ports=[{"containerPort": 8080, "name": "web"}],
        startupProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 30},
        livenessProbe={
            "exec": {"command": ["test", "!", "-e", "/tmp/sick"]},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 2,
        },
        readinessProbe={
            "httpGet": {"path": "/index.html", "port": "web"},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 1,
        },
    )

    def first() -> dict[str, Any]:
        return dict(mine.show("probed")["containers"][0])

    def health() -> Any:
        return first()["health"]

    eventually(lambda: health() == "healthy", "it is ready", seconds=60)
    assert first()["status_detail"].endswith(" (healthy)")
    mine.inside(first()["uuid"], "rm", "/www/index.html")
    eventually(lambda: health() == "unhealthy", "it is not ready")
    found = mine.show("probed")
    assert (found["status"], "404" in found["status_reason"], first()["restarts"]) == ("Running", True, 0)
    mine.inside(first()["uuid"], "touch", "/tmp/sick")
    eventually(lambda: first()["restarts"] == 1, "it is started again", seconds=60)
    eventually(lambda: health() == "healthy", "it is ready again", seconds=60)
    assert mine.show("probed")["containers"][1]["restarts"] == 0
    mine.delete("probed")
