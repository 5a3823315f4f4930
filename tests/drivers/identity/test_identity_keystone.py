# SPDX-License-Identifier: Apache-2.0
"""Identity by Keystone, in front of one that does as the test says: the contract, and what is its own."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from support.scripted_keystone import ScriptedKeystone
from zun.base.clock import ManualClock
from zun.drivers.identity.base import Asked
from zun.drivers.identity.contract import Door, IdentityContract
from zun.drivers.identity.keystone.identity import REFUSAL_SECONDS, KeystoneIdentity
from zun.drivers.identity.keystone.options import KeystoneOptions
from zun.model.errors import Denied, Unavailable

ASKED = Asked("GET", "/v1/containers")
OPTIONS = KeystoneOptions(auth_url="http://k:5000", www_authenticate_uri="http://public:5000/v3", token_cache_time=20)
RULES = [{"service": "container", "method": "GET", "path": "/v1/containers/*"}]


@pytest.fixture
def keystone(clock: ManualClock) -> ScriptedKeystone:
    return ScriptedKeystone(clock)


@asynccontextmanager
async def opened(keystone: ScriptedKeystone, **changed: Any) -> AsyncIterator[KeystoneIdentity]:
    identity = KeystoneIdentity(
        msgspec.structs.replace(OPTIONS, **changed),
        clock=keystone.clock,
        is_admin=lambda roles: "admin" in roles,
        keystone=keystone,
    )
    try:
        yield identity
    finally:
        keystone.open.set()
        await identity.close()


@pytest.fixture
async def identity(keystone: ScriptedKeystone) -> AsyncIterator[KeystoneIdentity]:
    async with opened(keystone) as made:
        yield made


@pytest.fixture
def door(identity: KeystoneIdentity, keystone: ScriptedKeystone, clock: ManualClock) -> Door:
    async def admit(user: str, project: str, roles: tuple[str, ...], expires: float | None) -> str:
        return keystone.admit(user, *roles, project=project, expires=3600 if expires is None else expires)

    async def shut_out(user: str) -> None:
        del keystone.tokens[f"token-of-{user}"]

    async def pass_time(seconds: float) -> None:
        clock.advance(seconds)

    return Door(identity, admit, shut_out, pass_time, settle_seconds=float(OPTIONS.token_cache_time))


class TestKeystoneIdentity(IdentityContract):
    """See `zun.drivers.identity.contract`."""


async def refusal(identity: KeystoneIdentity, token: str, asked: Asked = ASKED) -> tuple[int, str]:
    with pytest.raises(Denied) as denied:
        await identity.authenticate(token, asked)
    return denied.value.http_status, denied.value.message


async def asked(keystone: ScriptedKeystone) -> None:
    """Wait until somebody has asked it."""
    assert await asyncio.to_thread(keystone.begun.wait, 30), "nobody asked"


# Who it is


async def test_names_come_with_the_ids(identity: KeystoneIdentity, keystone: ScriptedKeystone) -> None:
    caller = await identity.authenticate(keystone.admit("u1", "member"), ASKED)
    assert (caller.user_name, caller.project_name) == ("u1's name", "p1's name")


async def test_the_case_of_a_role_does_not_matter(identity: KeystoneIdentity, keystone: ScriptedKeystone) -> None:
    caller = await identity.authenticate(keystone.admit("root", "Admin"), ASKED)
    assert caller.is_admin
    assert caller.roles == {"admin"}


def test_the_challenge_names_where_to_log_in(identity: KeystoneIdentity) -> None:
    assert identity.challenge == 'Keystone uri="http://public:5000/v3"'


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"system": {"all": True}}, "for the system"),
        ({"domain": msgspec.convert({"id": "d1", "name": "Sales"}, dict[str, str])}, "for the domain Sales"),
        ({}, "for nothing"),
    ],
)
async def test_a_token_without_a_project_is_told_what_to_do(
    identity: KeystoneIdentity, keystone: ScriptedKeystone, members: dict[str, Any], said: str
) -> None:
    token = keystone.admit("ann", "admin", project=None)
    keystone.tokens[token] = msgspec.convert(
        msgspec.to_builtins(keystone.tokens[token]) | members, type(keystone.tokens[token])
    )
    status, message = await refusal(identity, token)
    assert status == 403
    assert said in message
    assert "OS_PROJECT_NAME" in message
    assert identity.cached(token) is None


# What is kept


async def test_a_known_token_is_asked_about_again_when_its_time_is_over(
    identity: KeystoneIdentity, keystone: ScriptedKeystone, clock: ManualClock
) -> None:
    token = keystone.admit("ann")
    for _ in range(3):
        await identity.authenticate(token, ASKED)
    assert len(keystone.asked) == 1
    clock.advance(OPTIONS.token_cache_time)
    assert identity.cached(token) is None
    await identity.authenticate(token, ASKED)
    assert len(keystone.asked) == 2


async def test_a_token_ends_at_the_instant_it_expires_however_fresh_the_answer(
    identity: KeystoneIdentity, keystone: ScriptedKeystone, clock: ManualClock
) -> None:
    token = keystone.admit("ann", expires=10)
    await identity.authenticate(token, ASKED)
    clock.advance(9.9)
    assert identity.cached(token) is not None
    clock.advance(0.1)
    assert identity.cached(token) is None
    assert (await refusal(identity, token))[0] == 401


async def test_a_token_that_is_over_by_our_clock_is_refused_whatever_keystone_says(
    identity: KeystoneIdentity, keystone: ScriptedKeystone, clock: ManualClock
) -> None:
    token = keystone.admit("ann", expires=10)
    late = keystone.tokens[token]
    clock.advance(10)
    keystone.tokens[token] = late
    keystone.fetch = lambda token, allow_expired=False: late  # type: ignore[method-assign]
    assert (await refusal(identity, token))[0] == 401


async def test_a_bad_token_is_asked_about_once_in_a_while_only(
    identity: KeystoneIdentity, keystone: ScriptedKeystone, clock: ManualClock
) -> None:
    for _ in range(3):
        await refusal(identity, "invented")
    assert len(keystone.asked) == 1
    clock.advance(REFUSAL_SECONDS)
    keystone.admit("invented")
    keystone.tokens["invented"] = keystone.tokens["token-of-invented"]
    assert (await identity.authenticate("invented", ASKED)).user_id == "invented"


async def test_a_flood_of_inventions_does_not_push_out_who_is_known(keystone: ScriptedKeystone) -> None:
    async with opened(keystone, token_cache_size=10) as identity:
        token = keystone.admit("ann")
        await identity.authenticate(token, ASKED)
        for number in range(50):
            await refusal(identity, f"invented-{number}")
        assert identity.cached(token) is not None


async def test_only_so_many_tokens_are_remembered_the_longest_unused_go(keystone: ScriptedKeystone) -> None:
    async with opened(keystone, token_cache_size=2) as identity:
        one, two, three = keystone.admit("one"), keystone.admit("two"), keystone.admit("three")
        await identity.authenticate(one, ASKED)
        await identity.authenticate(two, ASKED)
        assert identity.cached(one)
        await identity.authenticate(three, ASKED)
        assert [identity.cached(token) is not None for token in (one, two, three)] == [True, False, True]


async def test_no_token_stays_in_memory(identity: KeystoneIdentity, keystone: ScriptedKeystone) -> None:
    secret = keystone.admit("ann") + "-" + "long" * 5
    keystone.tokens[secret] = keystone.tokens["token-of-ann"]
    await identity.authenticate(secret, ASKED)
    assert identity.cached(secret) is not None
    keystone.tokens.clear()
    keystone.asked.clear()
    gc.collect()
    holders = [
        held for held in gc.get_objects() if isinstance(held, dict | list | tuple | set) and _holds(held, secret)
    ]
    assert not [held for held in holders if not _is_this_test(held)]


def _holds(held: Any, secret: str) -> bool:
    things = list(held.items()) if isinstance(held, dict) else list(held)
    flat = [part for thing in things for part in (thing if isinstance(thing, tuple) else (thing,))]
    return any(isinstance(part, str) and part == secret for part in flat)


def _is_this_test(held: Any) -> bool:
    return isinstance(held, dict) and "secret" in held


# Many at once, and nobody there


async def test_all_who_come_with_the_same_new_token_share_one_question(
    identity: KeystoneIdentity, keystone: ScriptedKeystone
) -> None:
    token = keystone.admit("ann")
    keystone.open.clear()
    waiting = [asyncio.create_task(identity.authenticate(token, ASKED)) for _ in range(100)]
    await asked(keystone)
    keystone.open.set()
    callers = await asyncio.gather(*waiting)
    assert {caller.user_id for caller in callers} == {"ann"}
    assert keystone.asked == [token]


async def test_who_gives_up_waiting_does_not_take_the_answer_from_the_others(
    identity: KeystoneIdentity, keystone: ScriptedKeystone
) -> None:
    token = keystone.admit("ann")
    keystone.open.clear()
    first = asyncio.create_task(identity.authenticate(token, ASKED))
    second = asyncio.create_task(identity.authenticate(token, ASKED))
    await asked(keystone)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    keystone.open.set()
    assert (await second).user_id == "ann"


async def test_a_keystone_that_says_nothing_holds_nobody_for_ever(keystone: ScriptedKeystone) -> None:
    async with opened(keystone, validation_timeout=0.1) as identity:
        keystone.open.clear()
        with pytest.raises(Unavailable, match="try again"):
            await identity.authenticate(keystone.admit("ann"), ASKED)


async def test_the_loop_goes_on_while_keystone_thinks(identity: KeystoneIdentity, keystone: ScriptedKeystone) -> None:
    keystone.open.clear()
    waiting = asyncio.create_task(identity.authenticate(keystone.admit("ann"), ASKED))
    await asked(keystone)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    keystone.open.set()
    await waiting


async def test_more_than_may_wait_are_turned_away_at_once(keystone: ScriptedKeystone) -> None:
    async with opened(keystone, validation_queue=3, validation_threads=1) as identity:
        keystone.open.clear()
        tokens = [keystone.admit(f"u{number}") for number in range(4)]
        waiting = [asyncio.create_task(identity.authenticate(token, ASKED)) for token in tokens[:3]]
        await asked(keystone)
        with pytest.raises(Unavailable, match="try again"):
            await identity.authenticate(tokens[3], ASKED)
        keystone.open.set()
        await asyncio.gather(*waiting)
        assert (await identity.authenticate(tokens[3], ASKED)).user_id == "u3"


async def test_while_keystone_is_away_who_is_known_comes_in_and_others_hear_when_to_come_again(
    identity: KeystoneIdentity, keystone: ScriptedKeystone, caplog: pytest.LogCaptureFixture
) -> None:
    known, unknown = keystone.admit("ann"), keystone.admit("bob")
    await identity.authenticate(known, ASKED)
    keystone.away = "Keystone at http://k:5000 cannot be reached: refused."
    with caplog.at_level(logging.INFO):
        assert (await identity.authenticate(known, ASKED)).user_id == "ann"
        for _ in range(5):
            with pytest.raises(Unavailable, match="ask your operator") as unavailable:
                await identity.authenticate(unknown, ASKED)
        assert "k:5000" not in unavailable.value.message
        keystone.away = ""
        assert (await identity.authenticate(unknown, ASKED)).user_id == "bob"
    lines = [record.message for record in caplog.records if record.name.startswith("zun")]
    assert lines == [
        "Tokens cannot be checked: " + "Keystone at http://k:5000 cannot be reached: refused.",
        "Tokens can be checked again.",
    ]


async def test_closing_lets_go_of_keystone(keystone: ScriptedKeystone) -> None:
    async with opened(keystone):
        pass
    assert keystone.closed


# Application credentials with access rules, and services that ask for somebody


async def test_a_credential_with_access_rules_opens_what_they_name(
    identity: KeystoneIdentity, keystone: ScriptedKeystone
) -> None:
    token = keystone.admit("robot", "member", rules=RULES)
    assert (await identity.authenticate(token, Asked("GET", "/v1/containers/web"))).user_id == "robot"
    for method, path in (
        ("DELETE", "/v1/containers/web"),
        ("GET", "/v1/containers"),
        ("GET", "/v1/containers/web/logs"),
    ):
        status, message = await refusal(identity, token, Asked(method, path))
        assert status == 403
        assert f"{method} {path}" in message
    assert len(keystone.asked) == 1


async def test_a_credential_with_access_rules_is_never_known_for_every_request(
    identity: KeystoneIdentity, keystone: ScriptedKeystone
) -> None:
    token = keystone.admit("robot", rules=RULES)
    await identity.authenticate(token, Asked("GET", "/v1/containers/web"))
    assert identity.cached(token) is None


async def test_rules_of_another_service_open_nothing(identity: KeystoneIdentity, keystone: ScriptedKeystone) -> None:
    token = keystone.admit("robot", rules=[{"service": "compute", "method": "GET", "path": "/v1/**"}])
    assert (await refusal(identity, token, Asked("GET", "/v1/containers")))[0] == 403
    empty = keystone.admit("nothing", rules=[])
    assert (await refusal(identity, empty, Asked("GET", "/v1/containers")))[0] == 403


async def test_a_service_may_go_on_for_somebody_whose_token_has_expired(
    identity: KeystoneIdentity, keystone: ScriptedKeystone, clock: ManualClock
) -> None:
    token = keystone.admit("ann", "member", expires=10)
    clock.advance(11)
    service, other = keystone.admit("heat", "service"), keystone.admit("bob", "member", "admin")
    behind = msgspec.structs.replace(ASKED, service_token=service)
    assert (await identity.authenticate(token, behind)).user_id == "ann"
    assert identity.cached(token) is None
    for no_service in (other, "invented", ""):
        behind = msgspec.structs.replace(ASKED, service_token=no_service)
        assert (await refusal(identity, token, behind))[0] == 401
    behind = msgspec.structs.replace(ASKED, service_token=service)
    assert (await refusal(identity, "invented-too", behind))[0] == 401


async def test_only_a_real_service_goes_past_access_rules(
    identity: KeystoneIdentity, keystone: ScriptedKeystone
) -> None:
    token, service = keystone.admit("robot", rules=RULES), keystone.admit("heat", "service")
    behind = Asked("DELETE", "/v1/containers/web", service)
    assert (await identity.authenticate(token, behind)).user_id == "robot"
    narrow = keystone.admit("nova", "service", rules=RULES)
    for no_service in ("invented", keystone.admit("bob", "member"), token, narrow):
        assert (await refusal(identity, token, Asked("DELETE", "/v1/containers/web", no_service)))[0] == 403
