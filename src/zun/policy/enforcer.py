# SPDX-License-Identifier: Apache-2.0
"""Who may do what: oslo.policy behind three questions, each answered from memory the second time.

A list asks the same question for every row and key; the answer depends only on the caller's roles and on whether the thing is the
caller's own, so it is kept by those. A policy file may look at more (a user, a certain project); then answers are kept by all of it.
oslo.policy gets a configuration of its own: it reads neither the process's arguments nor anybody's global settings.
"""

import logging
import re
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_policy import policy as oslo

from zun.base.clock import Clock, SystemClock
from zun.base.watched_file import WatchedFile
from zun.model.caller import Caller
from zun.model.errors import Denied, Internal, Invalid
from zun.policy.options import PolicyOptions
from zun.policy.rules import BASE_RULES, BY_NAME, NEEDED_ROLES, RULES

_LOG = logging.getLogger(__name__)
_MAX_ANSWERS = 20_000
_REMOTE_CHECK = re.compile(r"(?:^|[\s(])https?:")

_Answer = tuple[object, ...]


class Policy:
    """The rules in force. Raises `Invalid` when the policy file given at the start is unusable."""

    def __init__(self, options: PolicyOptions | None = None, *, clock: Clock | None = None) -> None:
        self._path = Path(options.policy_file) if options is not None and options.policy_file else None
        self._file = WatchedFile(self._path, clock or SystemClock())
        self._checks, self._enforcer = _load(self._path)
        self._answers: dict[_Answer, bool] = {}
        self._generation = 0

    @property
    def generation(self) -> int:
        """Changes whenever the rules do; who keeps answers of `allows` asks whether they still count."""
        if self._path is not None:
            self._look_for_changes()
        return self._generation

    def authorize(self, caller: Caller, rule: str, *, project_id: str | None = None) -> None:
        """Return if `caller` may do what `rule` names with a thing of `project_id` (None: of the caller's own project).

        Raises `Denied`, which says what is missing; `Internal` for a rule that does not exist.
        """
        if not self.allows(caller, rule, project_id=project_id):
            raise Denied(self._refusal(caller, rule, project_id))

    def allows(self, caller: Caller, rule: str, *, project_id: str | None = None) -> bool:
        """Whether the caller may. Raises `Internal` for a rule that does not exist."""
        if self._path is not None:
            self._look_for_changes()
            key: _Answer = (rule, caller, project_id)
        else:
            key = (rule, caller.roles, caller.is_admin, project_id is None or project_id == caller.project_id)
        answer = self._answers.get(key)
        if answer is None:
            answer = self._ask(caller, rule, project_id)
            if len(self._answers) >= _MAX_ANSWERS:
                self._answers.clear()
            self._answers[key] = answer
        return answer

    def is_admin(self, roles: frozenset[str]) -> bool:
        """Whether somebody with these roles is the cloud's administrator."""
        if self._path is not None:
            self._look_for_changes()
        return self._enforce("context_is_admin", {}, {"roles": sorted(roles)})

    def _ask(self, caller: Caller, rule: str, project_id: str | None) -> bool:
        if rule not in BY_NAME:
            raise Internal(f"There is no policy rule named {rule!r}.")
        credentials = {
            "user_id": caller.user_id,
            "project_id": caller.project_id,
            "roles": sorted(caller.roles),
            "is_admin": caller.is_admin,
        }
        return self._enforce(rule, {"project_id": project_id or caller.project_id}, credentials)

    def _enforce(self, rule: str, target: dict[str, str], credentials: dict[str, object]) -> bool:
        return bool(self._enforcer.enforce(rule, target, credentials))

    def _refusal(self, caller: Caller, rule: str, project_id: str | None) -> str:
        known = BY_NAME[rule]
        has = ", ".join(sorted(caller.roles)) or "no role"
        check = self._checks[rule]
        needs = NEEDED_ROLES[known.level] if check == known.level else f"what the policy file asks for ({check})"
        elsewhere = (
            f" The thing belongs to project {project_id}." if project_id not in (None, caller.project_id) else ""
        )
        return f"You may not {known.what}: the policy rule {rule} needs {needs}; your token has {has}.{elsewhere}"

    def _look_for_changes(self) -> None:
        if not self._file.changed():
            return
        try:
            self._checks, self._enforcer = _load(self._path)
        except Invalid as error:
            _LOG.error("The changed policy file is not used, the rules before it stay in force: %s", error.message)
            return
        self._answers.clear()
        self._generation += 1
        _LOG.info("The policy file %s was read again.", self._path)


def _load(path: Path | None) -> tuple[dict[str, str], oslo.Enforcer]:
    checks = dict(BASE_RULES) | {rule.name: str(rule.level) for rule in RULES}
    if path is not None:
        checks |= _read_file(path)
    conf = cfg.ConfigOpts()
    conf(args=[], project="zun", default_config_files=[], default_config_dirs=[], use_env=False)
    enforcer = oslo.Enforcer(conf, rules=oslo.Rules.from_dict(checks), use_conf=False)
    try:
        enforcer.check_rules(raise_on_violation=True)
    except oslo.InvalidDefinitionError as error:
        raise Invalid(f"The policy file {path} has rules that refer to nothing or to themselves: {error}") from error
    return checks, enforcer


def _read_file(path: Path) -> dict[str, str]:
    """The rules of a policy file. Raises `Invalid` with what is wrong: a rule that is silently ignored is a hole."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"The policy file {path} cannot be read: {error}. Correct [policy] policy_file.") from error
    try:
        found: dict[Any, Any] = oslo.parse_file_contents(text)
    except ValueError as error:
        raise Invalid(f"The policy file {path} is no YAML of rules: {error}") from error
    if not isinstance(found, dict):  # the parser promises a dict and returns what YAML says
        raise Invalid(f"The policy file {path} must be a mapping of rule names to checks.")
    for name, check in found.items():
        if not isinstance(name, str) or not isinstance(check, str):
            raise Invalid(f"The policy file {path}: the check of {name!r} must be a string in quotes.")
        if ":" in name and name not in BY_NAME:
            raise Invalid(f"The policy file {path} has the rule {name!r}, which does not exist; see the sample file.")
        if _REMOTE_CHECK.search(check):
            raise Invalid(f"The policy file {path}: {name!r} asks another server (http:), which is not supported.")
        if str(oslo.RuleDefault(name, check).check) == "!" and check.strip() != "!":
            raise Invalid(f"The policy file {path}: the check of {name!r} cannot be understood: {check!r}.")
    return dict(found)
