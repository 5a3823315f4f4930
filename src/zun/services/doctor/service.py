# SPDX-License-Identifier: Apache-2.0
"""The doctor: examines when an administrator asks."""

import msgspec

from zun.model.caller import RequestContext
from zun.policy.enforcer import Policy
from zun.services.doctor.findings import Finding
from zun.services.doctor.gathering import Gathering
from zun.services.doctor.judging import judge
from zun.services.doctor.options import DoctorOptions
from zun.store.options import StoreOptions


class Examination(msgspec.Struct, frozen=True):
    """What was found `at` (seconds since the epoch) by a process of `version`, in the order in which one thing needs the other."""

    at: float
    version: str
    findings: list[Finding]


class Doctor:
    """Looks, changes nothing, and answers with the store, and nodes, away: that is when it is needed."""

    def __init__(self, gathering: Gathering, policy: Policy, options: DoctorOptions, kept: StoreOptions) -> None:
        self._gathering = gathering
        self._policy = policy
        self._options = options
        self._kept = kept

    async def examine(self, ctx: RequestContext) -> Examination:
        """All that is known to go wrong. Raises `Denied`."""
        self._policy.authorize(ctx.caller, "doctor:examine")
        facts = await self._gathering.facts()
        return Examination(facts.at, facts.version, judge(facts, self._options, self._kept))
