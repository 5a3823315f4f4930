# SPDX-License-Identifier: Apache-2.0
"""Who may do what, with the defaults and with an operator's file."""

import logging
from pathlib import Path

import pytest

from zun.base.clock import ManualClock
from zun.model.caller import Caller
from zun.model.errors import Denied, Internal, Invalid
from zun.policy.enforcer import Policy
from zun.policy.options import PolicyOptions
from zun.policy.rules import RULES, Level, Rule


def caller(*roles: str, project: str = "p1", user: str = "u1") -> Caller:
    return Caller(user_id=user, project_id=project, roles=frozenset(roles), is_admin="admin" in roles)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy()


_MAY: dict[Level, dict[str, bool]] = {
    Level.READER: {"": False, "reader": True, "member": True, "manager": True, "admin": True},
    Level.MEMBER: {"": False, "reader": False, "member": True, "manager": True, "admin": True},
    Level.ADMIN: {"": False, "reader": False, "member": False, "manager": False, "admin": True},
    Level.ROLE_ADMIN: {"": False, "reader": False, "member": False, "manager": False, "admin": True},
    Level.EXECUTE: {"": False, "reader": False, "member": True, "manager": True, "admin": True},
    Level.NOBODY: {"": False, "reader": False, "member": False, "manager": False, "admin": False},
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_admits_exactly_the_roles_of_its_level(policy: Policy, rule: Rule) -> None:
    for role, expected in _MAY[rule.level].items():
        asker = caller(role) if role else caller()
        assert policy.allows(asker, rule.name) is expected, role
        assert policy.allows(asker, rule.name, project_id="p1") is expected, role


def test_a_token_with_only_reader_or_without_a_role_changes_nothing(policy: Policy) -> None:
    verbs = (
        "create",
        "delete",
        "update",
        "start",
        "stop",
        "kill",
        "execute",
        "put_archive",
        "attach",
        "commit",
        "rename",
    )
    for name in [f"container:{verb}" for verb in verbs] + ["registry:create", "registry:update", "registry:delete"]:
        assert not policy.allows(caller("reader"), name)
        assert not policy.allows(caller("something-else"), name)
        assert not policy.allows(caller(), name)


def test_another_projects_things_are_for_admins_only(policy: Policy) -> None:
    for role in ("reader", "member", "manager"):
        assert not policy.allows(caller(role), "container:get_one", project_id="p2")
    assert policy.allows(caller("admin"), "container:get_one", project_id="p2")


def test_answers_from_memory_do_not_mix_projects_roles_or_rules(policy: Policy) -> None:
    for _ in range(2):
        assert policy.allows(caller("member"), "container:delete", project_id="p1")
        assert not policy.allows(caller("member"), "container:delete", project_id="p2")
        assert not policy.allows(caller("reader"), "container:delete", project_id="p1")
        assert policy.allows(caller("member", project="p2"), "container:delete", project_id="p2")


def test_role_names_are_matched_in_any_case(policy: Policy) -> None:
    assert policy.allows(caller("Member"), "container:create")
    assert policy.is_admin(frozenset({"Admin"}))


def test_a_refusal_names_the_rule_the_missing_role_and_what_the_token_has(policy: Policy) -> None:
    with pytest.raises(Denied) as denied:
        policy.authorize(caller("reader"), "container:create")
    assert denied.value.http_status == 403
    assert denied.value.code == "policy-not-authorized"
    for part in ("container:create", "create containers", "member", "your token has reader"):
        assert part in denied.value.message


def test_who_is_admin_is_a_matter_of_roles(policy: Policy) -> None:
    assert policy.is_admin(frozenset({"admin", "member"}))
    assert not policy.is_admin(frozenset({"member"}))
    assert not policy.is_admin(frozenset())


def test_an_unknown_rule_is_our_own_fault_and_never_a_yes(policy: Policy) -> None:
    with pytest.raises(Internal, match="no-such"):
        policy.allows(caller("admin"), "container:no-such")


def with_file(path: Path, text: str, clock: ManualClock | None = None) -> Policy:
    path.write_text(text)
    return Policy(PolicyOptions(policy_file=str(path)), clock=clock or ManualClock())


def test_a_policy_file_replaces_single_rules_and_leaves_the_others(tmp_path: Path) -> None:
    policy = with_file(tmp_path / "policy.yaml", '"container:create": "role:baker and rule:admin_or_owner"\n')
    assert policy.allows(caller("baker"), "container:create")
    assert not policy.allows(caller("member"), "container:create")
    assert policy.allows(caller("member"), "container:delete")
    with pytest.raises(Denied, match=r"the policy file asks for \(role:baker"):
        policy.authorize(caller("member"), "container:create")


def test_a_policy_file_may_look_at_users_and_projects(tmp_path: Path) -> None:
    policy = with_file(tmp_path / "p.yaml", '"container:create": "user_id:alice or project_id:vip"\n')
    assert policy.allows(caller("member", user="alice"), "container:create")
    assert not policy.allows(caller("member", user="bob"), "container:create")
    assert policy.allows(caller("member", user="bob", project="vip"), "container:create")


def test_a_policy_file_may_decide_who_is_admin(tmp_path: Path) -> None:
    policy = with_file(tmp_path / "p.yaml", '"context_is_admin": "role:cloud_admin"\n')
    assert policy.is_admin(frozenset({"cloud_admin"}))
    assert not policy.is_admin(frozenset({"admin"}))
    assert policy.allows(caller("cloud_admin"), "host:get_all")


def test_a_changed_policy_file_is_in_force_after_a_second(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "p.yaml"
    policy = with_file(path, '"container:create": "!"\n', clock)
    assert not policy.allows(caller("admin"), "container:create")
    path.write_text('"container:create": "role:admin"\n')
    clock.advance(1.5)
    assert policy.allows(caller("admin"), "container:create")


def test_a_policy_file_that_breaks_later_leaves_the_rules_as_they_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, path = ManualClock(), tmp_path / "p.yaml"
    policy = with_file(path, '"container:create": "!"\n', clock)
    path.write_text("{{{")
    clock.advance(1.5)
    with caplog.at_level(logging.ERROR):
        assert not policy.allows(caller("admin"), "container:create")
    assert "stay in force" in caplog.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{{", "no YAML"),
        ("- a\n", "mapping"),
        ('"container:creat": "role:x"\n', "does not exist"),
        ('"container:create": 5\n', "string in quotes"),
        ('"container:create": "http://decider.example/%(name)s"\n', "not supported"),
        ('"container:create": "role:a and"\n', "cannot be understood"),
        ('"container:create": "rule:nothing_like_it"\n', "refer to nothing"),
        ('"one": "rule:two"\n"two": "rule:one"\n', "to themselves"),
    ],
)
def test_an_unusable_policy_file_stops_the_start_with_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        with_file(tmp_path / "p.yaml", text)


def test_a_missing_policy_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        Policy(PolicyOptions(policy_file=str(tmp_path / "absent.yaml")))
