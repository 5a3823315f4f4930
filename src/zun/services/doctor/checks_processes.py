# SPDX-License-Identifier: Apache-2.0
"""Processes of the control plane, versions of all, certificates of all. Pure."""

from collections import defaultdict
from collections.abc import Iterator

from zun.model.process import ProcessRecord
from zun.services.doctor.facts import Facts
from zun.services.doctor.findings import Finding, Saying, duration, some
from zun.services.doctor.options import DoctorOptions

_DAY = 86400.0
_CERTIFICATES = Saying("certificates")


def check_processes(facts: Facts, options: DoctorOptions) -> Iterator[Finding]:
    """That they run, and have room."""
    saying = Saying("processes")
    by_role: dict[str, list[ProcessRecord]] = defaultdict(list)
    for process in facts.processes:
        by_role[process.role].append(process)
    for role, some_of in sorted(by_role.items()):
        yield saying.ok(f"{role}: {some([process.identity for process in some_of])}")
    for process in facts.processes:
        if process.state_free_mib is not None and process.state_free_mib < options.state_free_mib:
            yield saying.warning(
                f"{process.state_dir} of {process.role} {process.identity} has {process.state_free_mib} MiB of room",
                "Make room on its file system.",
            )


def check_versions(facts: Facts) -> Iterator[Finding]:
    """That all run the same."""
    saying = Saying("versions")
    who: dict[str, list[str]] = defaultdict(list)
    for process in facts.processes:
        who[process.version].append(f"{process.role} {process.identity}")
    for node in facts.nodes:
        if node.version:
            who[node.version].append(f"node {node.name}")
    if len(who) > 1:
        each = "; ".join(f"{version}: {some(names)}" for version, names in sorted(who.items()))
        yield saying.note(
            f"different versions run side by side ({each})",
            "That is well during an upgrade. Finish it in the order of the operator guide.",
        )
    elif who:
        yield saying.ok(f"all run version {next(iter(who))}")


def check_certificates(facts: Facts, options: DoctorOptions) -> Iterator[Finding]:
    """That none ends soon."""
    soonest: float | None = None
    for what, ends_at, advice in _certificates(facts):
        left = ends_at - facts.at
        soonest = min(left, soonest) if soonest is not None else left
        if left <= 0:
            yield _CERTIFICATES.error(f"{what} ended {duration(-left)} ago", advice)
        elif left < options.certificate_days * _DAY:
            yield _CERTIFICATES.warning(f"{what} ends in {duration(left)}", advice)
    if soonest is not None and soonest >= options.certificate_days * _DAY:
        yield _CERTIFICATES.ok(f"no certificate ends within {duration(soonest)}")


def _certificates(facts: Facts) -> Iterator[tuple[str, float, str]]:
    """What it is, when it ends, what to do."""
    for process in facts.processes:
        for name, ends_at in sorted(process.certificates.items()):
            advice = "Issue a new one (`zund ca issue`) and put it in the place of the old one; it is taken up without a restart."
            if name.endswith("ca.pem"):
                advice = "Make a new authority and new certificates for all before it ends (see the operator guide): none that it signed is believed then."
            yield f"{name} of {process.role} {process.identity}", ends_at, advice
    for node in facts.nodes:
        if node.certificate_expires_at is not None:
            advice = (
                "The node asks for its next one by itself when two thirds of its life are over; read its log and the leader's. After its end let "
                f"it join again: `zunctl node token --name {node.name}`."
            )
            yield f"the certificate of node {node.name}", node.certificate_expires_at, advice
