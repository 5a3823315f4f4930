# SPDX-License-Identifier: Apache-2.0
"""The fake identity keeps the contract."""

import pytest

from zun.base.clock import ManualClock
from zun.drivers.identity.base import Asked
from zun.drivers.identity.contract import Door, IdentityContract
from zun.drivers.identity.fake import FakeIdentity
from zun.model.caller import Caller
from zun.model.errors import Unavailable


@pytest.fixture
def identity(clock: ManualClock) -> FakeIdentity:
    return FakeIdentity(clock)


@pytest.fixture
def door(identity: FakeIdentity, clock: ManualClock) -> Door:
    async def admit(user: str, project: str, roles: tuple[str, ...], expires: float | None) -> str:
        until = None if expires is None else clock.now() + expires
        caller = Caller(user, project, frozenset(roles), is_admin="admin" in roles, expires_at=until)
        identity.callers[f"token-of-{user}"] = caller
        return f"token-of-{user}"

    async def shut_out(user: str) -> None:
        del identity.callers[f"token-of-{user}"]

    async def pass_time(seconds: float) -> None:
        clock.advance(seconds)

    return Door(identity, admit, shut_out, pass_time)


class TestFakeIdentity(IdentityContract):
    """See `zun.drivers.identity.contract`."""


async def test_while_it_is_away_nobody_can_be_asked(identity: FakeIdentity) -> None:
    identity.away = True
    with pytest.raises(Unavailable):
        await identity.authenticate("x", Asked("GET", "/v1"))
