# SPDX-License-Identifier: Apache-2.0
"""One storm: a load, rounds of accidents, everything mended, and the judge's verdict."""

import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from chaos import judging, leftovers
from chaos.accidents import plan
from chaos.hurting import Hurting
from chaos.ledger import Account
from chaos.load import ADDRESSES, NETWORK, Customer, connect, look
from chaos.observing import Observer
from chaos.timeline import Timeline
from lab.cluster import Cluster
from support.service import eventually

CUSTOMERS = 5
SETTINGS = """\
[quota]
containers = -1
cpu = -1
memory = -1
disk = -1

[controller]
heal_delay_seconds = 12
lease_ttl_seconds = 3

[compute]
heartbeat_seconds = 1
restart_grace_seconds = 20
look_seconds = 1
sync_seconds = 20
"""
"""What the machines are told beside the usual: moves begin within a round."""

_SUBNET = "10.98.0.0/24"
_REACHED_SECONDS = 60


@dataclass
class Verdict:
    """What came of a storm. No faults: it passed."""

    seed: int
    faults: list[str]
    summary: str
    timeline: list[str]

    @property
    def story(self) -> str:
        """What is wrong, and everything that happened."""
        return "\n".join([*(f"FAULT: {fault}" for fault in self.faults), *self.timeline])


class Storm:
    """A storm over a cluster that is up, at rest and empty. What it did and found is kept in `directory`."""

    def __init__(self, cluster: Cluster, directory: Path, *, aloud: bool = False) -> None:
        self._cluster = cluster
        self._directory = directory
        self._aloud = aloud
        self._docker = cluster.runtime == "docker"
        access = json.loads((cluster.directory / "local.json").read_text())
        self._token, self._project = access["token"], access["project_id"]

    def rage(self, seed: int, rounds: int) -> Verdict:
        """Let it happen, and judge. The cluster is whole and empty afterwards, unless there are faults."""
        timeline = Timeline(self._directory / f"seed-{seed}.txt", aloud=self._aloud)
        with ExitStack() as stack:
            http = stack.enter_context(connect(self._cluster, self._token))
            observer = Observer(self._cluster, timeline) if self._docker else None
            if observer is not None:
                stack.callback(observer.close)
            hurting = Hurting(self._cluster, timeline, observer, seed)
            stack.callback(hurting.close)
            customers = self._hurt(seed, rounds, timeline, hurting)
            accounts = [account for customer in customers for account in customer.accounts]
            timeline.tell("everything is mended; waiting until all work")
            hurting.wait_until_all_work()
            faults = [*self._judged(http, accounts, hurting.hit)]
            timeline.tell("deleting what is left")
            faults += [*leftovers.clear(http), *leftovers.find_left(self._cluster)]
            faults += [f"{customer.number}: {fault}" for customer in customers for fault in customer.faults]
            faults += [*hurting.faults, *(observer.twice if observer is not None else [])]
        summary = _summary(accounts, timeline)
        timeline.tell(summary)
        for fault in faults:
            timeline.tell(f"FAULT: {fault}")
        if faults:
            self._keep(seed, accounts)
        return Verdict(seed, faults, summary, timeline.lines)

    def _hurt(self, seed: int, rounds: int, timeline: Timeline, hurting: Hurting) -> list[Customer]:
        """Rounds of accidents while customers work; gives these once all have done."""
        cluster = self._cluster
        machines = {name: [one.name for one in cluster.processes(made)] for name, made in cluster.machines.items()}
        enough = threading.Event()
        customers = [
            Customer(number, f"{seed}", connect(cluster, self._token), timeline, docker=self._docker)
            for number in range(CUSTOMERS)
        ]
        with ThreadPoolExecutor(len(customers)) as pool:
            working = [pool.submit(customer.work, enough) for customer in customers]
            try:
                for number, accidents in enumerate(plan(seed, rounds, machines), 1):
                    timeline.tell(f"round {number} of {rounds}: " + "; ".join(map(str, accidents)))
                    hurting.suffer(accidents)
            finally:
                enough.set()
        for customer, done in zip(customers, working, strict=True):
            done.result()
            customer.http.close()
        return customers

    def _judged(self, http: httpx.Client, accounts: list[Account], hit: set[str]) -> Iterator[str]:
        yield from judging.wait_for_rest(http)
        views = look(http)
        yield from judging.judge_accounts(views, accounts)
        yield from judging.judge_histories(http, accounts, hit, objects_stay=self._docker)
        yield from judging.judge_quota(http, self._project)
        if self._docker:
            yield from judging.judge_engines(self._cluster, http)
            yield from judging.judge_insides(http, views, accounts)

    def _keep(self, seed: int, accounts: list[Account]) -> None:
        """What an engineer wants to read: every process's log, and what each customer knows."""
        for name, machine in self._cluster.machines.items():
            shutil.copytree(
                machine.directory / "logs", self._directory / f"seed-{seed}-logs" / name, dirs_exist_ok=True
            )
        stories = [
            f"{one.name} {one.uuid} {one.body}\n" + "".join(f"  {line}\n" for line in one.story) for one in accounts
        ]
        (self._directory / f"seed-{seed}-customers.txt").write_text("\n".join(stories))


def prepare(cluster: Cluster) -> None:
    """Bring a cluster up and give it what containers of a storm ask for."""
    cluster.up()
    if cluster.runtime != "docker":
        return
    for node in cluster.with_role("node"):
        if NETWORK not in node.run("docker", "network", "ls", "--format", "{{.Name}}").split():
            node.run("docker", "network", "create", "--subnet", _SUBNET, NETWORK)
    access = json.loads((cluster.directory / "local.json").read_text())
    with connect(cluster, access["token"]) as http:
        body = {"image": "zun.local/busybox:latest", "nets": [{"network": NETWORK, "v4-fixed-ip": ADDRESSES[0]}]}

        def known() -> bool:
            uuid = http.post("/v1/containers", json=body).json().get("uuid")
            if not uuid:
                return False
            eventually(
                lambda: http.get(f"/v1/containers/{uuid}").json()["status"] in ("Created", "Error"), "it is made"
            )
            made = bool(http.get(f"/v1/containers/{uuid}").json()["status"] == "Created")
            http.delete(f"/v1/containers/{uuid}", params={"force": "true"})
            eventually(lambda: http.get(f"/v1/containers/{uuid}").status_code == httpx.codes.NOT_FOUND, "it is gone")
            return made

        eventually(known, "the nodes tell of their networks", _REACHED_SECONDS)


def _summary(accounts: list[Account], timeline: Timeline) -> str:
    made = [one for one in accounts if one.uuid]
    changes = sum(len(one.actions) for one in accounts)
    doubts = sum("in doubt" in line for one in accounts for line in one.story)
    said = sum(done for one in accounts for done in one.said.values())
    return (
        f"{len(made)} containers made, {sum(one.gone for one in accounts)} deleted meanwhile, {changes} changes and {said} commands acknowledged, "
        f"{doubts} in doubt, {sum(one.moves for one in accounts)} moves, {timeline.now():.0f} s"
    )
