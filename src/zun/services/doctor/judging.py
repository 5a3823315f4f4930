# SPDX-License-Identifier: Apache-2.0
"""All checks, in the order in which one thing needs the other."""

from zun.services.doctor.checks_nodes import check_nodes
from zun.services.doctor.checks_processes import check_certificates, check_processes, check_versions
from zun.services.doctor.checks_records import check_left_out, check_quota, check_stuck
from zun.services.doctor.checks_store import check_leader, check_store
from zun.services.doctor.facts import Facts
from zun.services.doctor.findings import Finding
from zun.services.doctor.options import DoctorOptions
from zun.store.options import StoreOptions


def judge(facts: Facts, options: DoctorOptions, kept: StoreOptions) -> list[Finding]:
    """What the facts mean."""
    return [
        *check_store(facts, options, kept),
        *check_leader(facts),
        *check_processes(facts, options),
        *check_nodes(facts, options),
        *check_certificates(facts, options),
        *check_versions(facts),
        *check_quota(facts),
        *check_stuck(facts),
        *check_left_out(facts),
    ]
