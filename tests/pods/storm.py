# SPDX-License-Identifier: Apache-2.0
"""Capsules come and go, processes die and come back, and then everything has to be gone."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chaos.timeline import Timeline
from pods.moments import moments
from pods.node import Node, Victim
from support.capsules import WAITS, Capsules

AT_ONCE = 8
CAPSULE_SECONDS = 600
"""So long one capsule may take to run, or to be gone, through all accidents."""

GONE_SECONDS = 120
"""So long what crashes left behind may take to be cleared away."""

_LOOK_SECONDS = 0.5
_ELDER = "elder"


@dataclass(frozen=True)
class Verdict:
    """What came of it. No faults: it passed."""

    faults: list[str]
    kills: dict[str, int]
    seconds: float
    """From the first capsule to the last one's end."""


class Storm:
    """One storm over a node."""

    def __init__(self, node: Node, timeline: Timeline) -> None:
        self._node = node
        self._timeline = timeline
        self._over = threading.Event()
        self._kills: dict[str, int] = {}

    def rage(self, seed: int, pods: int, kills: int) -> Verdict:
        """So many capsules, each process killed so often (0: for as long as there are capsules) at moments that follow from the seed."""
        people = Capsules(self._node.service, again_seconds=CAPSULE_SECONDS)
        with people.http:
            elder = people.make(_ELDER, WAITS)
            before = people.until(_ELDER, "Running")
            self._timeline.tell(f"{elder['name']} runs; {pods} capsules begin, {AT_ONCE} at a time")
            began = time.monotonic()
            faults = self._together(people, seed, pods, kills)
            took = time.monotonic() - began
            self._timeline.tell(f"all came and went: {len(faults)} faults")
            faults += self._elder_faults(people, before)
            faults += self._left()
            usage = people.get(f"/v1/quotas/{self._node.service.project}?usages=true").json()
            faults += [
                f"quota: {what} {usage[what]['in_use']}"
                for what in ("containers", "cpu", "memory")
                if usage[what]["in_use"]
            ]
        return Verdict(faults, self._kills, took)

    def _together(self, people: Capsules, seed: int, pods: int, kills: int) -> list[str]:
        victims = self._node.victims()
        with ThreadPoolExecutor(len(victims)) as pool:
            hurting = [pool.submit(self._hurt, victim, seed, kills) for victim in victims]
            try:
                faults = people.come_and_go(pods, at_once=AT_ONCE, seconds=CAPSULE_SECONDS)
            finally:
                self._over.set()
        faults += [
            f"{victim.name}: {one.exception()}" for victim, one in zip(victims, hurting, strict=True) if one.exception()
        ]
        return faults + [f"{victim.name} was not killed" for victim in victims if not self._kills.get(victim.name)]

    def _hurt(self, victim: Victim, seed: int, times: int) -> None:
        for calm in moments(seed, victim.name, times):
            if self._over.wait(calm):
                return
            self._timeline.tell(f"kill -9 {victim.name}")
            victim.kill()
            self._kills[victim.name] = self._kills.get(victim.name, 0) + 1
            victim.come_back()
            self._timeline.tell(f"{victim.name} is back")

    @staticmethod
    def _elder_faults(people: Capsules, before: dict[str, object]) -> list[str]:
        """What ran through it all is untouched."""
        found = people.until(_ELDER, "Running")
        people.delete(_ELDER)
        same = ("uuid", "addresses")
        changed = [
            f"{_ELDER}: {what} was {before[what]}, is {found[what]}" for what in same if found[what] != before[what]
        ]
        return changed + [f"{_ELDER} was started again" for one in found["containers"] if one["restarts"]]

    def _left(self) -> list[str]:
        deadline = time.monotonic() + GONE_SECONDS
        found = self._node.left()
        self._timeline.tell(
            f"left at first: {', '.join(sorted({one.partition(':')[0] for one in found})) or 'nothing'}"
        )
        while found and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            found = self._node.left()
        self._timeline.tell(f"left in the end: {len(found)}")
        return [f"left: {one}" for one in found]
