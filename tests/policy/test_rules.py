# SPDX-License-Identifier: Apache-2.0
"""The list of rules: complete, and printable as a file to start from."""

import yaml

from zun.policy.rules import BASE_RULES, RULES, sample

_CLASSIC_BASE = {"context_is_admin", "admin_api", "admin_or_owner", "deny_everybody"}


_OURS = ("node:", "doctor:", "network:get_", "container:port_forward", "container:create:published_ports")
"""Rules for what goes beyond the Zun v1 API begin so."""


def test_there_are_82_rules_that_operators_know_and_each_is_named_once() -> None:
    names = [rule.name for rule in RULES] + [name for name in BASE_RULES if name in _CLASSIC_BASE]
    assert len(names) == len(set(names))
    assert len([name for name in names if not name.startswith(_OURS)]) == 82


def test_the_sample_file_is_valid_yaml_with_every_rule_once_its_comment_marks_are_removed() -> None:
    printed = sample()
    print(printed)
    rules = yaml.safe_load("\n".join(line.removeprefix("#") for line in printed.splitlines() if line.startswith('#"')))
    assert set(rules) == {rule.name for rule in RULES} | set(BASE_RULES)
    classic = {name for name in rules if not name.startswith(_OURS)}
    assert len(classic - {"project_member", "project_reader"}) == 82
    assert yaml.safe_load(printed) is None  # as printed it changes nothing
