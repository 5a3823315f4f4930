# SPDX-License-Identifier: Apache-2.0
"""What every identity must do, as tests.

Derive a test class from `IdentityContract` where the fixture `door` exists: an identity with a way to let people in and shut them out.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from zun.drivers.identity.base import Asked, Identity
from zun.model.caller import Caller
from zun.model.errors import Denied


@dataclass(frozen=True)
class Door:
    """An identity under test.

    `admit(user, project, roles, expires_in_seconds)` returns a token; `shut_out(user)` takes all tokens of that user away;
    `pass_time(seconds)` lets time pass. What was changed counts after `settle_seconds`.
    """

    identity: Identity
    admit: Callable[[str, str, tuple[str, ...], float | None], Awaitable[str]]
    shut_out: Callable[[str], Awaitable[None]]
    pass_time: Callable[[float], Awaitable[None]]
    settle_seconds: float = 0.0

    async def let_in(
        self, user: str, project: str = "p1", roles: tuple[str, ...] = ("member",), expires: float | None = None
    ) -> str:
        """A token that counts by now."""
        token = await self.admit(user, project, roles, expires)
        await self.pass_time(self.settle_seconds)
        return token

    async def authenticated(self, token: str) -> Caller:
        """Who comes in with the token, asking for a list."""
        return await self.identity.authenticate(token, Asked("GET", "/v1/containers"))


class IdentityContract:
    """The whole contract."""

    async def test_a_token_brings_its_user_project_and_roles(self, door: Door) -> None:
        token = await door.let_in("ann", "bakery", ("member", "reader"))
        caller = await door.authenticated(token)
        assert (caller.user_id, caller.project_id) == ("ann", "bakery")
        assert caller.roles == {"member", "reader"}
        assert not caller.is_admin

    async def test_whether_somebody_is_admin_is_told_with_the_caller(self, door: Door) -> None:
        token = await door.let_in("root", "cloud", ("admin",))
        assert (await door.authenticated(token)).is_admin

    async def test_what_was_authenticated_is_known_without_asking(self, door: Door) -> None:
        token = await door.let_in("ann")
        caller = await door.authenticated(token)
        assert door.identity.cached(token) == caller

    @pytest.mark.parametrize("token", ["", "wrong", "x" * 100_000, "ümlaut", "\x00", "\ud800"])
    async def test_a_bad_token_is_a_401_and_never_known(self, door: Door, token: str) -> None:
        await door.let_in("ann")
        assert door.identity.cached(token) is None
        with pytest.raises(Denied) as denied:
            await door.authenticated(token)
        assert denied.value.http_status == 401
        assert denied.value.message

    async def test_tokens_of_two_users_are_not_mixed_up(self, door: Door) -> None:
        one, two = await door.let_in("ann", "a"), await door.let_in("bob", "b")
        assert (await door.authenticated(one)).user_id == "ann"
        assert (await door.authenticated(two)).user_id == "bob"

    async def test_who_was_shut_out_stays_out_and_the_others_stay_in(self, door: Door) -> None:
        one, two = await door.let_in("ann"), await door.let_in("bob")
        await door.authenticated(one)
        await door.shut_out("ann")
        await door.pass_time(door.settle_seconds)
        assert door.identity.cached(one) is None
        with pytest.raises(Denied):
            await door.authenticated(one)
        assert (await door.authenticated(two)).user_id == "bob"

    async def test_an_expired_token_is_refused_even_if_it_was_known(self, door: Door) -> None:
        token = await door.let_in("ann", expires=60)
        await door.authenticated(token)
        await door.pass_time(61)
        assert door.identity.cached(token) is None
        with pytest.raises(Denied):
            await door.authenticated(token)

    async def test_there_is_a_challenge_for_a_401(self, door: Door) -> None:
        assert door.identity.challenge.isprintable()
        assert " " in door.identity.challenge
