# SPDX-License-Identifier: Apache-2.0
"""Identity from a token file: the contract, and what is its own."""

import ast
import json
import logging
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from zun.base.clock import ManualClock
from zun.drivers.identity.base import Asked
from zun.drivers.identity.contract import Door, IdentityContract
from zun.drivers.identity.static import tokens
from zun.drivers.identity.static.identity import StaticIdentity
from zun.drivers.identity.static.local import ensure_local_access
from zun.model.errors import Conflict, Denied, Invalid, NotFound

ASKED = Asked("GET", "/v1/containers")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "tokens.json"
    tokens.add_user(path, "first", roles=tokens.ADMIN_ROLES)
    return path


def opened(path: Path, clock: ManualClock) -> StaticIdentity:
    return StaticIdentity(path, clock=clock, is_admin=lambda roles: "admin" in roles)


@pytest.fixture
def door(path: Path, clock: ManualClock) -> Door:
    async def admit(user: str, project: str, roles: tuple[str, ...], expires: float | None) -> str:
        until = None if expires is None else clock.now() + expires
        return tokens.add_user(path, user, project=project, roles=roles, expires_at=until)

    async def shut_out(user: str) -> None:
        tokens.remove_user(path, user)

    async def pass_time(seconds: float) -> None:
        clock.advance(seconds)

    return Door(opened(path, clock), admit, shut_out, pass_time, settle_seconds=1.0)


class TestStaticIdentity(IdentityContract):
    """See `zun.drivers.identity.contract`."""


def test_the_file_is_private_and_holds_no_token(path: Path) -> None:
    token = tokens.add_user(path, "ann")
    assert mode_of(path) == 0o600
    assert token not in path.read_text()
    assert len(token) >= 43  # 256 bits


def test_a_file_that_others_may_read_is_refused_with_what_to_do(path: Path, clock: ManualClock) -> None:
    path.chmod(0o640)
    with pytest.raises(Invalid, match="chmod 600"):
        opened(path, clock)
    with pytest.raises(Invalid, match="chmod 600"):
        tokens.add_user(path, "ann")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"v": 1}', '{"v": 1, "tokens": [{"roles": 5}]}'])
def test_a_damaged_file_is_refused_with_what_to_do(path: Path, clock: ManualClock, content: str) -> None:
    path.write_text(content)
    with pytest.raises(Invalid, match=r"damaged.*restore"):
        opened(path, clock)


def test_without_a_file_there_is_no_way_in(tmp_path: Path, clock: ManualClock) -> None:
    with pytest.raises(NotFound, match="no token file"):
        opened(tmp_path / "tokens.json", clock)


def test_a_file_that_becomes_unusable_lets_nobody_new_in_and_says_so(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    token = tokens.add_user(path, "ann")
    identity = opened(path, clock)
    path.write_text("{")
    clock.advance(2)
    with caplog.at_level(logging.ERROR):
        assert identity.cached(token) is not None
    assert "not used" in caplog.text
    assert token not in caplog.text


async def test_the_file_is_looked_at_once_a_second_at_most(path: Path, clock: ManualClock) -> None:
    identity = opened(path, clock)
    token = tokens.add_user(path, "ann")
    clock.advance(0.5)
    with pytest.raises(Denied):
        await identity.authenticate(token, ASKED)
    clock.advance(0.6)
    assert (await identity.authenticate(token, ASKED)).user_id == "ann"


def test_a_user_may_have_several_tokens_and_loses_all_at_once(path: Path, clock: ManualClock) -> None:
    one, two = tokens.add_user(path, "ann"), tokens.add_user(path, "ann")
    assert one != two
    assert [(user.name, user.tokens) for user in tokens.users(path)] == [("ann", 2), ("first", 1)]
    tokens.remove_user(path, "ann")
    identity = opened(path, clock)
    assert identity.cached(one) is None
    assert identity.cached(two) is None


def test_a_known_user_is_not_quietly_given_other_roles(path: Path) -> None:
    tokens.add_user(path, "ann", roles=("reader",))
    with pytest.raises(Conflict, match="reader"):
        tokens.add_user(path, "ann", roles=("admin",))


def test_removing_somebody_unknown_says_so(path: Path) -> None:
    with pytest.raises(NotFound, match="no user nobody"):
        tokens.remove_user(path, "nobody")


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 65, "ü", "a/b"])
def test_names_that_would_be_trouble_are_refused(path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="no user name"):
        tokens.add_user(path, name)
    with pytest.raises(Invalid, match="no role name"):
        tokens.add_user(path, "ann", roles=(name,))


def test_users_added_at_the_same_time_are_all_there(path: Path) -> None:
    threads = [threading.Thread(target=tokens.add_user, args=(path, f"u{number}")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert {user.name for user in tokens.users(path)} == {"first"} | {f"u{number}" for number in range(8)}


# The first user


async def test_the_first_start_makes_one_admin_and_tells_zunctl(tmp_path: Path, clock: ManualClock) -> None:
    file, local = tmp_path / "tokens.json", tmp_path / "local.json"
    access = ensure_local_access(file, local, "http://127.0.0.1:9517")
    assert mode_of(file) == mode_of(local) == 0o600
    assert json.loads(local.read_text()) == {
        "url": "http://127.0.0.1:9517",
        "token": access.token,
        "project_id": access.project_id,
    }
    caller = await opened(file, clock).authenticate(access.token, ASKED)
    assert caller.is_admin
    assert caller.roles == {"admin", "member", "reader"}
    assert access.token not in repr(access)


def test_later_starts_keep_the_token_and_follow_the_address(tmp_path: Path) -> None:
    file, local = tmp_path / "tokens.json", tmp_path / "local.json"
    first = ensure_local_access(file, local, "http://127.0.0.1:9517")
    again = ensure_local_access(file, local, "http://127.0.0.1:9517")
    moved = ensure_local_access(file, local, "http://127.0.0.1:9999")
    assert again == first
    assert (moved.token, moved.url) == (first.token, "http://127.0.0.1:9999")
    assert json.loads(local.read_text())["url"] == "http://127.0.0.1:9999"
    assert tokens.users(file)[0].tokens == 1


@pytest.mark.parametrize("accident", ["gone", "damaged", "open to others"])
async def test_a_lost_local_file_is_made_again_with_a_new_token(
    tmp_path: Path, clock: ManualClock, accident: str
) -> None:
    file, local = tmp_path / "tokens.json", tmp_path / "local.json"
    first = ensure_local_access(file, local, "http://x")
    if accident == "gone":
        local.unlink()
    elif accident == "damaged":
        local.write_text("{")
    else:
        local.chmod(0o644)
    again = ensure_local_access(file, local, "http://x")
    assert again.token != first.token
    assert mode_of(local) == 0o600
    identity = opened(file, clock)
    assert (await identity.authenticate(again.token, ASKED)).is_admin
    others_could_read_it = accident == "open to others"
    assert (identity.cached(first.token) is None) is others_could_read_it


async def test_an_admin_who_was_shut_out_gets_a_new_token_at_the_next_start(tmp_path: Path, clock: ManualClock) -> None:
    file, local = tmp_path / "tokens.json", tmp_path / "local.json"
    first = ensure_local_access(file, local, "http://x")
    tokens.remove_user(file, "admin")
    again = ensure_local_access(file, local, "http://x")
    identity = opened(file, clock)
    assert identity.cached(first.token) is None
    assert (await identity.authenticate(again.token, ASKED)).is_admin


# What it costs others


def test_who_uses_no_keystone_does_not_load_it() -> None:
    loaded = "import sys, zun.main, zun.config, zun.wiring.role_all; print([n for n in sys.modules if 'keystone' in n])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=60, check=True)
    ours = {"zun.commands.keystone", "zun.drivers.identity.keystone", "zun.drivers.identity.keystone.options"}
    assert set(ast.literal_eval(done.stdout)) == ours
