# SPDX-License-Identifier: Apache-2.0
"""A doctor for tests: what the store's servers and this process say is made up."""

from collections.abc import Callable, Sequence

from zun.base.clock import Clock
from zun.model.process import ProcessRecord
from zun.policy.enforcer import Policy
from zun.services.doctor.gathering import Gathering
from zun.services.doctor.options import DoctorOptions
from zun.services.doctor.service import Doctor
from zun.services.nodelive import NodeDirectory
from zun.store.health import MemberHealth
from zun.store.interface import Store
from zun.store.options import StoreOptions
from zun.store.view import View

OWN = ProcessRecord(role="api", identity="here:1", version="0.2.0", started_at=0.0)


def gathering(
    store: Store,
    view: View,
    directory: NodeDirectory,
    clock: Clock,
    *,
    options: DoctorOptions | None = None,
    members: Callable[[], Sequence[MemberHealth]] = tuple,
) -> Gathering:
    """Looks at what is there."""

    async def own() -> ProcessRecord:
        return OWN

    async def health() -> Sequence[MemberHealth]:
        return members()

    return Gathering(
        store=store,
        view=view,
        directory=directory,
        clock=clock,
        options=options or DoctorOptions(),
        driver="memory",
        members=health,
        own=own,
    )


def doctor_of(store: Store, view: View, policy: Policy, directory: NodeDirectory, clock: Clock) -> Doctor:
    """A doctor with everything at its default."""
    return Doctor(gathering(store, view, directory, clock), policy, DoctorOptions(), StoreOptions())
