# SPDX-License-Identifier: Apache-2.0
"""The stretches of a run, each measured by what its clients, its nodes and the kernel saw."""

import time
from collections.abc import Sequence

import msgspec

from support.fleet.costs import cpu_of, memory_of
from support.fleet.fleet import Fleet
from support.fleet.load import Done
from support.fleet.observer import ACCEPTED, PLACED, RUNNING
from support.fleet.orders import Child
from support.service import eventually

LATE_SECONDS = 60.0
SETTLED_SECONDS = 3.0
CONTAINER_WRITES = ("wish", "place", "s", "e")
"""What the observer calls writes that concern one container."""


class Flood(msgspec.Struct):
    """Creates as fast as it goes. Seconds; `running` from the request until etcd had taken the node's word that it runs."""

    count: int
    seconds: float
    answered: list[float]
    running: list[float]
    cpu: dict[str, float]
    made: list[tuple[str, int, float]]

    @property
    def per_second(self) -> float:
        """Containers a second, from the first request until the last one runs."""
        return self.count / self.seconds


def flood(made: Fleet, count: int, connections: int) -> Flood:
    """Nobody observes it, since that would cost processor time."""
    made.forget()
    before = cpu_of(made.roles)
    done = made.load(count=count, connections=connections)
    end = made.until("running", count)
    after = cpu_of(made.roles)
    ran = made.running()
    return Flood(
        count=count,
        seconds=end - done.began,
        answered=done.seconds,
        running=[ran[uuid] - at for uuid, _, at in done.made],
        cpu={role: after[role] - before[role] for role in after},
        made=done.made,
    )


class Stages(msgspec.Struct):
    """The two halves one after the other, containers a second: accepting while nobody leads, then all that waits is placed and runs."""

    accepted: float
    placed: float
    cpu: dict[str, float]


def stages(made: Fleet, count: int, connections: int) -> Stages:
    """Each half has the machine for itself, which comes nearer to roles on machines of their own."""
    made.forget()
    made.controller.stop()
    before = cpu_of({"API": [made.api.pid], "etcd": [made.cluster.etcd.pid]})
    done = made.load(count=count, connections=connections)
    after = cpu_of({"API": [made.api.pid], "etcd": [made.cluster.etcd.pid]})
    made.controller.start()
    made.until("running", count)
    moments = sorted(made.running().values())
    return Stages(
        accepted=count / (done.ended - done.began),
        placed=(count - 1) / (moments[-1] - moments[0]),
        cpu={role: after[role] - before[role] for role in after},
    )


class Stream(msgspec.Struct):
    """Creates at an even pace, in seconds; `placed` and `running` begin when the acceptance was in etcd."""

    answered: list[float]
    placed: list[float]
    running: list[float]
    lags: list[float]
    made: list[tuple[str, int, float]]


def stream(
    made: Fleet, observer: Child, lag: Child, *, count: int, per_second: float, probe: tuple[str, int]
) -> Stream:
    """With an observer of etcd, and a watcher of the container `probe` (uuid, number of its token) at the API server."""
    observer.ask("forget")
    made.forget()
    where = {"url": made.api.url, "token": made.tokens[probe[1]], "uuid": probe[0]}
    lag.tell("measure", seconds=count / per_second, per_second=10, **where)
    done: Done = made.load(count=count, connections=256, per_second=per_second)
    lags: list[float] = lag.hear()
    made.until("running", count)
    moments: dict[str, list[float]] = eventually(
        lambda: _complete(observer.ask("moments"), done), "the observer saw all run", LATE_SECONDS
    )
    seen = [moments[uuid] for uuid, _, _ in done.made]
    return Stream(
        answered=done.seconds,
        placed=[each[PLACED] - each[ACCEPTED] for each in seen],
        running=[each[RUNNING] - each[ACCEPTED] for each in seen],
        lags=lags,
        made=done.made,
    )


def _complete(moments: dict[str, list[float]], done: Done) -> dict[str, list[float]] | None:
    return moments if all(moments.get(uuid, [0.0] * 4)[RUNNING] for uuid, _, _ in done.made) else None


def at_rest(made: Fleet, seconds: float) -> dict[str, float]:
    """Cores in use by role while nobody asks for anything."""
    before, begin = cpu_of(made.roles), time.monotonic()
    time.sleep(seconds)
    after, took = cpu_of(made.roles), time.monotonic() - begin
    return {role: (after[role] - before[role]) / took for role in after}


def memory(made: Fleet) -> dict[str, int]:
    """Bytes by role."""
    return memory_of(made.roles)


def deletes(made: Fleet, victims: Sequence[tuple[str, int]], connections: int) -> float:
    """Containers a second, from the first request until the last node has said that its one is gone."""
    made.forget()
    done = made.load(victims=list(victims), connections=connections)
    return len(victims) / (made.until("gone", len(victims)) - done.began)


def new_api_server(made: Fleet) -> tuple[float, int]:
    """Seconds until another API server serves, and the bytes it holds then."""
    late = made.cluster.api("late")
    begin = time.monotonic()
    late.start()
    took = time.monotonic() - begin
    held = memory_of({"API": [late.pid]})["API"]
    late.stop()
    return took, held


def settle(observer: Child) -> None:
    """Wait until nobody writes about containers any more."""
    before: dict[str, int] = {}
    while (now := _of_containers(observer.ask("written"))) != before:
        before = now
        time.sleep(SETTLED_SECONDS)


def _of_containers(written: dict[str, int]) -> dict[str, int]:
    return {kind: written.get(kind, 0) for kind in CONTAINER_WRITES}


class Loss(msgspec.Struct):
    """Some nodes lost their power: seconds until a client was shown the last of their containers as unknown, and what was written."""

    nodes: int
    containers: int
    seconds: float
    writes: int


def loss(made: Fleet, observer: Child) -> Loss:
    """The last process of nodes dies. A client asks again and again for what is unknown."""
    nodes = made.shares[-1]
    observer.ask("forget")
    with made.api.client() as client:
        made.lose(len(made.agents) - 1)
        begin = last = time.monotonic()
        seen = 0
        while time.monotonic() - last < LATE_SECONDS / 4:
            text = client.get("/metrics").text
            now = _figure(text, 'zun_containers{status="Unknown"}')
            if now != seen:
                seen, last = now, time.monotonic()
            elif seen and _figure(text, 'zun_nodes{state="down"}') >= nodes:
                break
            time.sleep(0.2)
    return Loss(nodes, seen, last - begin, sum(_of_containers(observer.ask("written")).values()))


def _figure(text: str, name: str) -> int:
    found = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return int(float(found[0].rpartition(" ")[2])) if found else 0


def heartbeats(made: Fleet, nodes: int, seconds: float) -> tuple[dict[str, float], float]:
    """Cores that heartbeats alone take of a client and of etcd, and how many came a second; whoever else ran must have ended."""
    child = made.child("heartbeats", "--endpoint", made.cluster.endpoint)
    child.ask("begin", nodes=nodes)
    roles = {"client": [child.pid], "etcd": [made.cluster.etcd.pid]}
    before, sent, begin = cpu_of(roles), child.ask("sent"), time.monotonic()
    time.sleep(seconds)
    after, took = cpu_of(roles), time.monotonic() - begin
    sent = child.ask("sent") - sent
    child.kill()
    return {role: (after[role] - before[role]) / took for role in after}, sent / took
