# SPDX-License-Identifier: Apache-2.0
"""A storm of requests against a service that is killed all the time, and an exact account of what was acknowledged.

Each customer works on containers of its own, one after the other; a request whose answer was lost may have happened or not, and
the customer goes on as a careful client would: looks, and asks again only for what may be asked twice.
"""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from support.asking import Asking
from support.service import Service

AGAIN_SECONDS = 60
_PAUSE = 0.05


@dataclass
class Account:
    """What one customer knows of one container."""

    name: str
    uuid: str = ""
    deleted: bool = False  # acknowledged
    maybe_deleted: bool = False  # asked for, answer lost
    signals: int = 0  # asked for, acknowledged or not
    actions: list[str] = field(default_factory=list)  # request ids of what was acknowledged


class Customer(Asking):
    """Sends requests; knows which ones were answered."""

    def __init__(self, service: Service, rng: random.Random) -> None:
        super().__init__(service, again_seconds=AGAIN_SECONDS)
        self.rng = rng

    def look(self, name: str) -> dict[str, Any]:
        """A container; {} when there is none."""
        answer = self.get(f"/v1/containers/{name}")
        return dict(answer.json()) if answer.status_code == 200 else {}

    def create(self, account: Account, body: dict[str, Any]) -> None:
        """Create and start; asks again only when the first time did not happen."""
        while not account.uuid:
            answer = self.ask("POST", "/v1/containers", params={"run": "true"}, json=body | {"name": account.name})
            if answer is None:
                account.uuid = self.look(account.name).get("uuid", "")
            else:
                assert answer.status_code == 202, answer.text
                account.uuid = answer.json()["uuid"]

    def act(self, account: Account, verb: str, **parameters: Any) -> None:
        """An action; a lost answer is not asked for again, a refusal because of the state is fine."""
        if verb == "kill":
            account.signals += 1
        answer = self.ask("POST", f"/v1/containers/{account.uuid}/{verb}", params=parameters)
        if answer is not None:
            assert answer.status_code in (202, 409), answer.text
            if answer.status_code == 202:
                account.actions.append(answer.headers["x-openstack-request-id"])
            elif verb == "kill":
                account.signals -= 1

    def resize(self, account: Account, **limits: Any) -> None:
        """Change limits; refusals because of the state are fine, and so is a node that was away."""
        answer = self.ask("POST", f"/v1/containers/{account.uuid}/resize_container", json=limits)
        assert answer is None or answer.status_code in (202, 409), answer.text if answer is not None else ""

    def make_deletable(self, account: Account) -> None:
        """A paused container may not be deleted, and what is still on its way may pause it."""
        deadline = time.monotonic() + AGAIN_SECONDS
        while (view := self.look(account.uuid)).get("task_state") or view.get("status") == "Paused":
            assert time.monotonic() < deadline, f"{account} does not come to rest: {view}"
            if not view["task_state"]:
                self.act(account, "unpause")
            time.sleep(_PAUSE)

    def delete(self, account: Account) -> None:
        """Delete by force; asks again until it is known."""
        while not account.deleted:
            account.maybe_deleted = True
            answer = self.ask("DELETE", f"/v1/containers/{account.uuid}", params={"force": "true"})
            if answer is not None:
                assert answer.status_code in (204, 404, 409), answer.text
                account.deleted = answer.status_code in (204, 404)
                if not account.deleted:
                    time.sleep(_PAUSE)

    def rest(self, account: Account, seconds: float = 2) -> None:
        """Half of the time wait until nothing is going on; else hurry on."""
        deadline = time.monotonic() + seconds
        if self.rng.random() < 0.5:
            while self.look(account.uuid).get("task_state") and time.monotonic() < deadline:
                time.sleep(_PAUSE)


def life(service: Service, seed: float, account: Account, body: dict[str, Any]) -> None:
    """One container from its creation to its end, or half way."""
    customer = Customer(service, random.Random(seed))
    with customer.http:
        _live(customer, account, body)


def _live(customer: Customer, account: Account, body: dict[str, Any]) -> None:
    rng = customer.rng
    customer.create(account, body)
    customer.rest(account)
    for _ in range(rng.randint(0, 3)):
        verb = rng.choice(["stop", "start", "reboot", "pause", "unpause", "kill", "kill", "rebuild", "resize"])
        if verb == "resize":
            customer.resize(account, memory=rng.randint(8, 64), cpu=rng.choice([0.25, 0.5, 0.75]))
        elif verb == "kill":
            customer.act(account, verb, signal="USR1")
        elif verb in ("stop", "reboot"):
            customer.act(account, verb, timeout=1)
        else:
            customer.act(account, verb)
        customer.rest(account)
    if rng.random() < 0.5:
        customer.make_deletable(account)
        customer.delete(account)


class Storm:
    """Customers at work while the service is killed at random moments."""

    def __init__(self, service: Service, seed: int, *, customers: int, body: dict[str, Any]) -> None:
        self.service = service
        self.rng = random.Random(seed)
        self.body = body
        self.customers = customers
        self.kills = 0

    def rage(self, lives: int, *, calm: tuple[float, float], prefix: str) -> list[Account]:
        """Let so many lives pass, killing after between `calm` seconds of service; gives the accounts."""
        accounts = [Account(f"{prefix}-{number}") for number in range(lives)]
        done = threading.Event()
        with ThreadPoolExecutor(self.customers) as pool:
            futures = [pool.submit(life, self.service, self.rng.random(), account, self.body) for account in accounts]
            threading.Thread(target=lambda: ([future.exception() for future in futures], done.set())).start()
            while not done.wait(self.rng.uniform(*calm)):
                self.service.kill()
                self.kills += 1
                self.service.start()
            for future in futures:
                future.result()
        return accounts
