# SPDX-License-Identifier: Apache-2.0
"""The page of what engines can do, and what they report, tell the same."""

from zun.drivers.runtime.capabilities import table
from zun.drivers.runtime.cri.fingerprint import CAPABILITIES
from zun.drivers.runtime.cri.fingerprint import CONDITIONAL as OF_CRI
from zun.drivers.runtime.docker.fingerprint import CONDITIONAL, fingerprint
from zun.drivers.runtime.types import Capability

POOREST = {
    "ServerVersion": "1", "NCPU": 1, "MemTotal": 1, "Architecture": "x", "OSType": "linux", "OperatingSystem": "o",
    "KernelVersion": "6", "Name": "n", "Driver": "vfs", "CPUSet": False,
}  # fmt: skip


def test_every_capability_has_a_line_and_every_driver_its_answer() -> None:
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in table().splitlines() if row.startswith("| ")}
    assert set(rows) - {"capability", "---"} == set(Capability)
    for capability in Capability:
        said = OF_CRI.get(capability, "yes")
        assert rows[capability].endswith(f"| {said} |") is (capability in CAPABILITIES)


def test_an_engine_of_docker_lacks_at_most_what_the_page_says_not_all_have() -> None:
    assert set(Capability) - fingerprint(POOREST, (), capsules=False, sandboxed=True, here=False).capabilities == set(
        CONDITIONAL
    )


def test_an_engine_of_docker_has_capsules_in_sandboxes_when_its_operator_says_that_they_share_a_network() -> None:
    for sandboxed in (False, True):
        found = fingerprint(POOREST, (), capsules=True, sandboxed=sandboxed, here=True).capabilities
        assert (Capability.SANDBOXED_CAPSULES in found) is sandboxed
        assert Capability.CAPSULES in found
