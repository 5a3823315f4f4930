# SPDX-License-Identifier: Apache-2.0
"""Customers at work: they create, use and delete containers through the balancer as careful clients do, and keep account.

A request that was refused, or that found nobody, is made again. One whose answer was lost may have happened or not; it is not made again,
except a deletion, which may be.
"""

import random
import threading
import time
from base64 import b64encode
from typing import Any

import httpx

from chaos.ledger import MEMORY_MIB, Account, Outcome
from chaos.timeline import Timeline
from lab.cluster import Cluster
from support.service import eventually

IMAGE = "zun.local/busybox:latest"
NETWORK, ADDRESSES = "chaosnet", [f"10.98.0.{number}" for number in range(100, 108)]
TELLING = "trap 'echo USR1' USR1; trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; kill $!; done"
SECRET = b"a secret of its own"
AGAIN_SECONDS = 120
ANSWER_SECONDS = 30
REST_SECONDS = 6
_ELDERS, _YOUNG = 2, 2  # a customer keeps the first ones, and has so many others at most
_LOST = {httpx.codes.BAD_GATEWAY, httpx.codes.GATEWAY_TIMEOUT}


def connect(cluster: Cluster, token: str) -> httpx.Client:
    """A client of the cluster's API, through its balancer."""
    headers = {"X-Auth-Token": token, "OpenStack-API-Version": "container 1.40"}
    return httpx.Client(base_url=cluster.url, headers=headers, timeout=ANSWER_SECONDS)


class Customer:
    """One of them. `accounts` is everything it asked for; `faults` what no service may answer."""

    def __init__(self, number: int, seed: str, http: httpx.Client, timeline: Timeline, *, docker: bool) -> None:
        self.number = number
        self.http = http
        self.accounts: list[Account] = []
        self.faults: list[str] = []
        self._rng = random.Random(f"{seed}-{number}")
        self._timeline = timeline
        self._docker = docker
        self._enough = threading.Event()

    def work(self, enough: threading.Event) -> None:
        """Live until it is enough; what was begun is finished."""
        self._enough = enough
        while not enough.is_set():
            account = Account(f"c{self.number}-{len(self.accounts)}", self._body())
            self.accounts.append(account)
            self._create(account)
            living = [one for one in self.accounts if one.uuid and not one.gone]
            for one in self._rng.sample(living, min(len(living), 2)):
                self._use(one)
            young = living[_ELDERS:]  # the others live through everything
            if len(young) > _YOUNG or (young and self._rng.random() < 0.3):
                self._delete(self._rng.choice(young))

    def _body(self) -> dict[str, Any]:
        rng = self._rng
        command = ["sh", "-c", TELLING] if self._docker else ["sleep", "100000"]
        body: dict[str, Any] = {"image": IMAGE, "command": command, "memory": MEMORY_MIB, "cpu": 0.1}
        body["auto_heal"] = rng.random() < 0.6
        if rng.random() < 0.3:
            body["restart_policy"] = {"Name": "always"}
        if rng.random() < 0.25:
            body["mounts"] = [{"type": "bind", "source": b64encode(SECRET).decode(), "destination": "/secret"}]
        if rng.random() < 0.25 and self._docker:
            body["nets"] = [{"network": NETWORK, "v4-fixed-ip": rng.choice(ADDRESSES)}]
        return body

    def _use(self, account: Account) -> None:
        for _ in range(self._rng.randint(1, 5)):
            self._rest(account)
            if self._enough.is_set():
                return
            verb = self._rng.choice(
                ["stop", "start", "start", "reboot", "pause", "unpause", "kill", "say", "say", "resize"]
            )
            if verb == "say":
                self._say(account)
            elif verb == "resize":
                self._change(account, verb, "resize_container", json={"memory": self._next_memory(account)})
            elif verb == "kill":
                self._change(account, verb, "kill", params={"signal": "USR1"})
            else:
                self._change(account, verb, verb, params={"timeout": 1} if verb in ("stop", "reboot") else None)

    def _next_memory(self, account: Account) -> int:
        """Never what it has: to ask for that is no change, and makes no history."""
        account.memory += 1
        return account.memory

    def _create(self, account: Account) -> None:
        outcome, answer = self._ask(
            "POST", "/v1/containers", params={"run": "true"}, json=account.body | {"name": account.name}
        )
        account.created = outcome
        request = ""
        if answer is not None and outcome is Outcome.DONE:
            account.uuid, request = answer.json()["uuid"], answer.headers["x-openstack-request-id"]
        account.note(self._timeline.now(), "create", outcome, request)

    def _change(self, account: Account, verb: str, path: str, **options: Any) -> None:
        account.signals += verb == "kill"
        outcome, answer = self._ask("POST", f"/v1/containers/{account.uuid}/{path}", **options)
        request = answer.headers["x-openstack-request-id"] if answer is not None else ""
        account.signals -= verb == "kill" and outcome is Outcome.REFUSED
        account.note(self._timeline.now(), verb, outcome, request)

    def _say(self, account: Account) -> None:
        """Have a word written in the container; each word once."""
        word = f"w{len(account.said)}"
        command = ["sh", "-c", f"echo {word} >> /said; echo {word}"] if self._docker else ["echo", word]
        account.said[word] = False
        outcome, answer = self._ask(
            "POST", f"/v1/containers/{account.uuid}/execute", again=False, json={"command": command}
        )
        if answer is not None and outcome is Outcome.DONE and answer.json()["exit_code"] == 0:
            account.said[word] = True
            if answer.json()["output"] != f"{word}\n":
                self.faults.append(f"{account.name}: `echo {word}` printed {answer.json()['output']!r}")
        account.story.append(f"{self._timeline.now():7.2f}  say {word}: {outcome}")

    def _delete(self, account: Account) -> None:
        deadline = time.monotonic() + AGAIN_SECONDS
        while not account.gone and time.monotonic() < deadline:
            outcome, answer = self._ask("DELETE", f"/v1/containers/{account.uuid}", params={"force": "true"})
            account.asked_to_go |= outcome is not Outcome.REFUSED
            missing = answer is not None and answer.status_code == httpx.codes.NOT_FOUND
            account.gone = outcome is Outcome.DONE or missing
            account.note(self._timeline.now(), "delete", Outcome.DONE if account.gone else outcome)
            if outcome is Outcome.REFUSED and not account.gone:  # paused, perhaps
                self._change(account, "unpause", "unpause")
                self._pause()

    def _ask(
        self, method: str, path: str, *, again: bool = True, **options: Any
    ) -> tuple[Outcome, httpx.Response | None]:
        """One request, made again while it is refused because somebody is away; its outcome, and the answer if there was one."""
        deadline = time.monotonic() + AGAIN_SECONDS
        while True:
            try:
                answer = self.http.request(method, path, **options)
            except httpx.ConnectError:
                answer = None
            except httpx.TransportError:
                return Outcome.LOST, None
            if answer is not None and answer.status_code in _LOST:
                return Outcome.LOST, None
            if answer is not None and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
                    self.faults.append(f"{method} {path} was answered with 500: {answer.text}")
                    return Outcome.LOST, None
                return (Outcome.DONE if answer.is_success else Outcome.REFUSED), answer
            if not again or time.monotonic() > deadline:
                return Outcome.REFUSED, answer
            self._pause()

    def _rest(self, account: Account) -> None:
        """Mostly wait until what was asked for is done, but not for long; else hurry on."""
        self._pause()
        deadline = time.monotonic() + (self._rng.random() < 0.7) * REST_SECONDS
        while time.monotonic() < deadline and not self._enough.is_set():
            outcome, answer = self._ask("GET", f"/v1/containers/{account.uuid}", again=False)
            if answer is None or outcome is not Outcome.DONE or answer.json()["task_state"] is None:
                return
            self._pause()

    def _pause(self) -> None:
        self._enough.wait(self._rng.uniform(0.1, 0.9))


def look(http: httpx.Client) -> dict[str, dict[str, Any]]:
    """All containers by uuid, once the API answers from the store."""

    def listed() -> list[dict[str, Any]] | None:
        try:
            answer = http.get("/v1/containers", params={"limit": 1000})
        except httpx.TransportError:
            return None
        return list(answer.json()["containers"]) if answer.is_success and "warning" not in answer.headers else None

    found: list[dict[str, Any]] = []

    def asked() -> bool:
        nonlocal found
        said = listed()
        found = said if said is not None else []
        return said is not None

    eventually(asked, "the API answers", AGAIN_SECONDS)
    return {view["uuid"]: view for view in found}
