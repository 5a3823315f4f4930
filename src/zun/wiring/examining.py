# SPDX-License-Identifier: Apache-2.0
"""Builds the doctor, which wants to know of a store what its port does not tell."""

from collections.abc import Sequence
from typing import Protocol, cast

from zun.base.clock import Clock
from zun.base.disk import free_bytes
from zun.config import Settings
from zun.policy.enforcer import Policy
from zun.services.doctor.gathering import Gathering, Members
from zun.services.doctor.service import Doctor
from zun.services.nodelive import NodeDirectory
from zun.services.processes import Describe
from zun.store.health import MemberHealth
from zun.store.interface import Store
from zun.store.measured import MeasuredStore
from zun.store.view import View


class _Servers(Protocol):
    async def health(self) -> tuple[MemberHealth, ...]: ...


def build_doctor(
    settings: Settings,
    *,
    store: Store,
    view: View,
    directory: NodeDirectory,
    policy: Policy,
    clock: Clock,
    own: Describe,
) -> Doctor:
    """The doctor of an API server."""
    gathering = Gathering(
        store=store,
        view=view,
        directory=directory,
        clock=clock,
        options=settings.doctor,
        driver=settings.store.driver,
        members=_members(settings, store),
        own=own,
    )
    return Doctor(gathering, policy, settings.doctor, settings.store)


def _members(settings: Settings, store: Store) -> Members:
    if settings.store.driver == "etcd":
        behind = store.behind if isinstance(store, MeasuredStore) else store
        return cast("_Servers", behind).health

    async def file() -> Sequence[MemberHealth]:
        if settings.store.driver == "memory":
            return ()
        path = settings.state_dir / "state.db"
        return (MemberHealth(name=str(path), bytes=path.stat().st_size, free_bytes=free_bytes(path)),)

    return file
