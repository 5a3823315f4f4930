# SPDX-License-Identifier: Apache-2.0
"""The store: whether it answers, its members, its space, its history; and whether somebody leads. Pure."""

from collections.abc import Iterator

from zun.services.doctor.facts import Facts, StoreFacts
from zun.services.doctor.findings import Finding, Saying, duration, some
from zun.services.doctor.options import DoctorOptions
from zun.store.health import MemberHealth
from zun.store.options import StoreOptions

_STORE = Saying("store")
_MIB = 1024 * 1024
_FULL_SHARE = 0.8
_SLOW_SECONDS = 0.5


def check_store(facts: Facts, options: DoctorOptions, kept: StoreOptions) -> Iterator[Finding]:
    """All about the store. `kept`: the history that is to be kept."""
    store = facts.store
    yield _answers(store, facts.at)
    if store.members:
        yield from _members(store)
        for member in store.members:
            yield from _space(store, member, options)
    if not store.trouble:
        yield _history(store, kept)


def check_leader(facts: Facts) -> Iterator[Finding]:
    """Whether a controller leads."""
    saying = Saying("controllers")
    if facts.store.trouble:
        return
    if facts.leader:
        yield saying.ok(f"{facts.leader} leads")
    elif any(process.role in {"controller", "all"} for process in facts.processes):
        yield saying.error(
            "no controller leads, though some run",
            "Wait half a minute for the lease of a leader that died; if nobody leads then, read the logs of the controllers.",
        )
    else:
        yield saying.error(
            "no controller runs: nothing is placed, and nothing that was deleted is cleared away",
            "Start a controller (`systemctl start zun-controller`); what was accepted meanwhile waits for it.",
        )


def _answers(store: StoreFacts, at: float) -> Finding:
    if store.trouble:
        return _STORE.error(
            f"the store ({store.driver}) does not answer: {store.trouble}",
            "Bring most of its members back; until then reads show what was last known, and changes are refused with 503. Nothing is lost.",
        )
    if store.stale_since is not None:
        return _STORE.warning(
            f"this API server has not followed the store since {duration(at - store.stale_since)}",
            "It catches up by itself; if it does not within a minute, read its log and restart it.",
        )
    took = f"in {1000 * store.asked_seconds:.0f} ms"
    if store.asked_seconds > _SLOW_SECONDS:
        return _STORE.warning(
            f"the store ({store.driver}) answers slowly, {took}",
            "Look at the load and the disks of its machines: etcd wants a disk of its own that syncs within 10 ms.",
        )
    return _STORE.ok(f"the store ({store.driver}) answers {took}, at revision {store.revision}")


def _members(store: StoreFacts) -> Iterator[Finding]:
    for member in store.members:
        if member.trouble:
            yield _STORE.error(
                f"{member.name} {member.trouble}".rstrip("."),
                "The others go on as long as they are more than half; bring this one back before another one fails.",
            )
    if len(store.members) > 1:
        well = [member for member in store.members if not member.trouble]
        leads = next((member.name for member in well if member.leads), "")
        if len(well) == len(store.members):
            yield _STORE.ok(f"all {len(well)} members of etcd are well" + (f"; {leads} leads" if leads else ""))
        versions = sorted({member.version for member in well if member.version})
        if len(versions) > 1:
            yield _STORE.note(f"members of etcd run different versions: {some(versions)}")


def _space(store: StoreFacts, member: MemberHealth, options: DoctorOptions) -> Iterator[Finding]:
    limit = options.store_limit_mib * _MIB
    if member.full:
        yield _STORE.error(
            f"{member.name} is full and takes no changes",
            "Raise its --quota-backend-bytes (and [doctor] store_limit_mib), or free space: `etcdctl compact`, `etcdctl defrag` on each member; then "
            "`etcdctl alarm disarm`. See the operator guide.",
        )
    elif store.driver == "etcd" and member.bytes > _FULL_SHARE * limit:
        yield _STORE.warning(
            f"the database of {member.name} takes {member.bytes // _MIB} of {options.store_limit_mib} MiB "
            f"({member.bytes_in_use // _MIB} MiB of it in use)",
            "Give back what is not in use: `etcdctl defrag` on one member after the other; else raise --quota-backend-bytes and "
            "[doctor] store_limit_mib.",
        )
    elif member.bytes:
        yield _STORE.ok(f"the database of {member.name} takes {max(1, member.bytes // _MIB)} MiB")
    if member.free_bytes is not None and member.free_bytes < options.state_free_mib * _MIB:
        yield _STORE.warning(
            f"the file system of {member.name} has {member.free_bytes // _MIB} MiB left",
            "Make room; when it is full, changes are refused, and nothing that was acknowledged is lost.",
        )


def _history(store: StoreFacts, kept: StoreOptions) -> Finding:
    held = store.revision - store.oldest_revision
    if held > 2 * kept.history_revisions:
        return _STORE.warning(
            f"the store keeps {held} old revisions, more than twice as many as [store] history_revisions",
            "The leading controller has etcd forget old ones; see whether one leads, and read its log.",
        )
    return _STORE.ok(f"{held} old revisions are kept")
