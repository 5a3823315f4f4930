# SPDX-License-Identifier: Apache-2.0
"""The packet filter keeps up with the sandboxes, a little at a time, whatever happens to it."""

import asyncio
import re
import threading
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from support.network_machine import network_attachment
from zun.cni.firewall import ruleset
from zun.cni.firewall.firewall import Firewall
from zun.cni.firewall.ruleset import elements_of, together
from zun.cni.journal import Bound, Phase
from zun.model.attachments import Port, PublishedPort, SandboxNetwork
from zun.model.errors import Internal

Held = dict[tuple[str, str], set[str]]
_CHANGE = re.compile(r"(add|delete) element (\w+) zun (\w+) \{ (.*) \}")
_DECLARED = re.compile(r"(?:set|map) (\w+) \{ .*?;(?: elements = \{ (.*) \};)? \}")


class Kernel:
    """Sets and maps as nft treats them: a text is done whole or not at all; `broken` refuses everything."""

    def __init__(self) -> None:
        self.held: Held | None = None
        self.broken = False
        self.busy: threading.Event | None = None
        self.texts: list[str] = []

    def run(self, text: str) -> None:
        if self.broken:
            raise Internal("it is broken")
        if self.busy is not None:
            self.busy.wait(10)
        self.texts.append(text)
        self.held = self._whole(text) if text.startswith("add table") else self._changed(text)

    def listed(self, family: str, table: str) -> list[dict[str, Any]] | None:
        return None if self.held is None else []

    def _whole(self, text: str) -> Held:
        found: Held = {}
        family = ""
        for line in map(str.strip, text.splitlines()):
            if line.startswith("table "):
                family = line.split()[1]
            elif told := _DECLARED.fullmatch(line):
                found[family, told[1]] = set(told[2].split(", ")) if told[2] else set()
        return found

    def _changed(self, text: str) -> Held:
        if self.held is None:
            raise Internal("there is no table")
        found = {place: set(held) for place, held in self.held.items()}
        for line in text.splitlines():
            told = _CHANGE.fullmatch(line)
            assert told is not None, line
            held, elements = found[told[2], told[3]], set(told[4].split(", "))
            if told[1] == "add":
                held |= elements
            elif elements <= held:
                held -= elements
            else:
                raise Internal("there is no such element")
        return found


def bound(number: int, networks: set[int]) -> Bound:
    """A sandbox on some networks, with ports of its own."""
    attachments = tuple(
        network_attachment(
            network,
            number,
            ifname=f"eth{network}",
            published=(PublishedPort(1000 * network + number, 80),),
            exposed=(Port(22),) if network % 2 else None,
        )
        for network in sorted(networks)
    )
    return Bound(
        container_id=f"c{number}",
        netns="",
        namespace="",
        sandbox=SandboxNetwork(f"k{number}.1", attachments),
        phase=Phase.BOUND,
        boot_id="",
    )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "drop", "flush", "break", "lose"]), st.integers(1, 4), st.sets(st.integers(1, 3))
    ),
    max_size=15,
)


@settings(deadline=None)
@given(steps=STEPS)
async def test_after_any_changes_the_kernel_has_what_the_sandboxes_need_and_no_more(
    steps: list[tuple[str, int, set[int]]],
) -> None:
    kernel = Kernel()
    firewall = Firewall(kernel, host_access=False, seconds=10)
    await firewall.replace([], ["up0"])
    wanted: dict[int, Bound] = {}
    for what, number, networks in steps:
        kernel.broken = what == "break"
        if what in {"put", "break"}:
            wanted[number] = bound(number, networks)
            try:
                await firewall.put(f"c{number}", elements_of(wanted[number]))
            except Internal:
                kernel.broken = False
                del wanted[number]
                await firewall.drop(f"c{number}")
        elif what == "drop":
            wanted.pop(number, None)
            await firewall.drop(f"c{number}")
        elif what == "flush":
            kernel.held = None
            await firewall.heal(["up0"])
        elif kernel.held is not None:
            kernel.held["bridge", "macs"].clear()
            await firewall.heal(["up0"])
        needed = {place: set(texts) for place, texts in together(map(elements_of, wanted.values())).items() if texts}
        needed["inet", "uplinks"] = {'"up0"'}
        assert kernel.held is not None
        assert {place: held for place, held in kernel.held.items() if held} == needed
    firewall.close()


async def test_a_change_that_was_given_up_before_its_turn_is_made_good_and_nobody_else_is_blamed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kernel, free = Kernel(), threading.Event()
    firewall = Firewall(kernel, host_access=False, seconds=10)
    await firewall.replace([], ["up0"])
    kernel.busy = free
    first = asyncio.create_task(firewall.put("c1", elements_of(bound(1, {1}))))
    second = asyncio.create_task(firewall.put("c2", elements_of(bound(2, {1}))))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])
    free.set()
    await first
    await firewall.heal(["up0"])
    assert kernel.held is not None
    assert len(kernel.held["bridge", "macs"]) == 2
    assert not caplog.records
    firewall.close()


@pytest.mark.parametrize("host_access", [True, False])
def test_the_machine_is_open_only_when_its_operator_says_so(host_access: bool) -> None:
    text = ruleset.whole({}, host_access=host_access)
    chain = text[text.index("chain from_network_to_machine") :]
    assert ("drop" in chain) is not host_access
