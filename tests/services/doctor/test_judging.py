# SPDX-License-Identifier: Apache-2.0
"""What facts mean: each thing that can be wrong is said once, with what to do about it."""

from typing import Any

import msgspec
import pytest

from zun.model.process import ProcessRecord
from zun.model.records import Usage
from zun.services.doctor.facts import Facts, NodeFacts, ProjectFacts, StoreFacts, Stuck, Survey
from zun.services.doctor.findings import Finding, Severity
from zun.services.doctor.judging import judge
from zun.services.doctor.options import DoctorOptions
from zun.store.health import MemberHealth
from zun.store.options import StoreOptions

NOW = 1_700_000_000.0
DAY = 86400.0
GIB = 2**30

API = ProcessRecord(
    role="api", identity="a:1", version="0.2.0", started_at=0.0, state_dir="/var/lib/zun", state_free_mib=5000
)
CONTROLLER = msgspec.structs.replace(API, role="controller", identity="c:2")
NODE = NodeFacts(
    name="n1", alive=True, seen_at=NOW - 5, containers=3, version="0.2.0", ahead_seconds=0.1, doubt_seconds=0.05
)
MEMBERS = tuple(
    MemberHealth(name=f"member 10.0.0.1{n}:2379", version="3.4.23", leads=n == 1, bytes=GIB // 4, bytes_in_use=GIB // 8)
    for n in (1, 2, 3)
)
STORE = StoreFacts(driver="etcd", asked_seconds=0.004, revision=5000, oldest_revision=1000, members=MEMBERS)
WELL = Facts(
    at=NOW,
    version="0.2.0",
    store=STORE,
    leader="c:2",
    processes=(API, CONTROLLER),
    nodes=(NODE,),
    survey=Survey(containers=3, projects=1, wrong=(), stuck=()),
)


def found(facts: Facts) -> list[Finding]:
    return judge(facts, DoctorOptions(), StoreOptions())


def troubles(**changed: Any) -> list[tuple[str, str, str]]:
    """What is not well with these facts: how bad, about what, and in which words."""
    quiet = {Severity.OK, Severity.NOTE}
    facts = msgspec.structs.replace(WELL, **changed)
    return [(str(one.severity), one.about, one.what) for one in found(facts) if one.severity not in quiet]


def notes(**changed: Any) -> list[str]:
    return [one.what for one in found(msgspec.structs.replace(WELL, **changed)) if one.severity is Severity.NOTE]


def node(**changed: Any) -> dict[str, tuple[NodeFacts, ...]]:
    return {"nodes": (msgspec.structs.replace(NODE, **changed),)}


def store(**changed: Any) -> dict[str, StoreFacts]:
    return {"store": msgspec.structs.replace(STORE, **changed)}


def test_of_an_installation_that_is_well_nothing_is_to_be_looked_after() -> None:
    assert {one.severity for one in found(WELL)} == {Severity.OK}
    assert {one.about for one in found(WELL)} >= {"store", "controllers", "nodes", "versions", "quota", "containers"}


def test_whatever_is_wrong_comes_with_advice() -> None:
    for case in CASES.values():
        for one in found(msgspec.structs.replace(WELL, **case[0])):
            assert bool(one.advice) or one.severity in {Severity.OK, Severity.NOTE}


MEMBER_AWAY = (*MEMBERS[:2], MemberHealth(name="member 10.0.0.13:2379", trouble="does not answer."))
MEMBER_FULL = (*MEMBERS[:2], MemberHealth(name="member 10.0.0.13:2379", full=True))
MEMBER_LARGE = (*MEMBERS[:2], MemberHealth(name="member 10.0.0.13:2379", bytes=7 * GIB // 4, bytes_in_use=GIB))
WRONG = ProjectFacts("shop", Usage(2, 1000, 512, 0), Usage(1, 500, 256, 0))
WAITING = Stuck("containers wait for a node", "See whether a controller leads.", 7, ("u1", "u2"), NOW - 7200)

CASES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "store away": (store(trouble="no member answers"), "error", "store", "does not answer: no member answers"),
    "store slow": (store(asked_seconds=1.5), "warning", "store", "slowly, in 1500 ms"),
    "view behind": (store(stale_since=NOW - 120), "warning", "store", "has not followed the store since 2 minutes"),
    "member away": (store(members=MEMBER_AWAY), "error", "store", "10.0.0.13:2379 does not answer"),
    "store full": (store(members=MEMBER_FULL), "error", "store", "is full and takes no changes"),
    "store large": (store(members=MEMBER_LARGE), "warning", "store", "1792 of 2048 MiB (1024 MiB of it in use)"),
    "history": (store(oldest_revision=1, revision=500_000), "warning", "store", "keeps 499999 old revisions"),
    "nobody leads": ({"leader": ""}, "error", "controllers", "no controller leads, though some run"),
    "no controller": ({"leader": "", "processes": (API,)}, "error", "controllers", "no controller runs"),
    "no node": ({"nodes": ()}, "warning", "nodes", "there is no node"),
    "node lost": (node(alive=False, seen_at=NOW - 7200), "error", "nodes", "does not report (since 2 hours); 3 containers"),
    "unregistered": (node(registered=False), "warning", "nodes", "reports, but is not registered"),
    "no engine": (node(engine_error="The engine is away."), "error", "nodes", "the engine of node n1 does not answer"),
    "unreached": (node(streams="refused."), "error", "nodes", "do not reach node n1 for logs and consoles: refused"),
    "clock ahead": (node(ahead_seconds=7.0), "warning", "nodes", "node n1 is 7.0 seconds ahead of"),
    "clock behind": (node(ahead_seconds=-7.0), "warning", "nodes", "node n1 is 7.0 seconds behind"),
    "node's disk": (node(state_free_mib=20), "warning", "nodes", "the state directory of node n1 has 20 MiB of room"),
    "strays": (node(strays=2, named_strays=("u1", "u2")), "warning", "nodes", "2 containers that the restored store does not know: u1, u2"),
    "node's certificate": (node(certificate_expires_at=NOW + DAY), "warning", "certificates", "node n1 ends in 1 day"),
    "certificate over": (node(certificate_expires_at=NOW - DAY), "error", "certificates", "node n1 ended 1 day ago"),
    "control plane's": (
        {"processes": (CONTROLLER, msgspec.structs.replace(API, certificates={"/z/control.pem": NOW + 3 * DAY}))},
        "warning",
        "certificates",
        "/z/control.pem of api a:1 ends in 3 days",
    ),
    "disk": (
        {"processes": (CONTROLLER, msgspec.structs.replace(API, state_free_mib=64))},
        "warning",
        "processes",
        "/var/lib/zun of api a:1 has 64 MiB of room",
    ),
    "quota": ({"survey": Survey(3, 1, (WRONG,), ())}, "error", "quota", "shop is counted with 2 containers, 1 cores"),
    "stuck": ({"survey": Survey(9, 1, (), (WAITING,))}, "warning", "containers", "7 containers wait for a node, the first since 2 hours"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said_once(case: str) -> None:
    changed, severity, about, words = CASES[case]
    ((how, what, said),) = troubles(**changed)
    assert (how, what) == (severity, about)
    assert words in said


def test_what_somebody_wants_is_a_note() -> None:
    assert notes(**node(forced_down=True, alive=False)) == ["node n1 was declared down"]
    assert notes(**node(draining=True)) == ["node n1 is drained; 3 containers left there"]
    assert notes(**node(disabled=True, disabled_reason="new disk")) == [
        "node n1 is disabled (new disk): it gets no new containers"
    ]
    assert notes(**node(restarting=True)) == ["the agent of node n1 restarts and is waited for; its containers run"]


def test_during_an_upgrade_versions_differ_and_that_is_no_trouble() -> None:
    (said,) = notes(**node(version="0.3.0"))
    assert said == "different versions run side by side (0.2.0: api a:1, controller c:2; 0.3.0: node n1)"
    assert troubles(**node(version="0.3.0")) == []


def test_a_clock_is_not_blamed_for_a_slow_answer() -> None:
    assert troubles(**node(ahead_seconds=4.0, doubt_seconds=3.0)) == []


def test_one_process_with_an_embedded_store_can_be_well() -> None:
    alone = msgspec.structs.replace(API, role="all")
    file = (MemberHealth(name="/var/lib/zun/state.db", bytes=4096, free_bytes=50 * GIB),)
    kept = StoreFacts(driver="sqlite", revision=5, oldest_revision=1, members=file)
    assert troubles(processes=(alone,), store=kept, leader="a:1") == []
    full = (msgspec.structs.replace(file[0], free_bytes=GIB // 64),)
    ((_, about, what),) = troubles(processes=(alone,), store=msgspec.structs.replace(kept, members=full))
    assert (about, what) == ("store", "the file system of /var/lib/zun/state.db has 16 MiB left")


def test_what_there_was_no_time_for_is_said() -> None:
    assert notes(left_out=("4 nodes were not asked for want of time",), survey=None) == [
        "4 nodes were not asked for want of time"
    ]
