# SPDX-License-Identifier: Apache-2.0
"""Containers: whether what is counted is what is there, and whether anything waits for ever. Pure."""

from collections.abc import Iterator

from zun.model.records import Usage
from zun.services.doctor.facts import Facts
from zun.services.doctor.findings import Finding, Saying, duration, some


def check_quota(facts: Facts) -> Iterator[Finding]:
    """That each project's usage is the sum of its containers."""
    saying = Saying("quota")
    if facts.survey is None:
        return
    for project in facts.survey.wrong:
        yield saying.error(
            f"project {project.project_id} is counted with {_words(project.recorded)}, but has {_words(project.counted)}",
            "That should never be: please report it, with the logs of API servers and controllers.",
        )
    if not facts.survey.wrong:
        yield saying.ok(f"the usage of {facts.survey.projects} projects is the sum of their containers")


def check_stuck(facts: Facts) -> Iterator[Finding]:
    """That nothing waits for long."""
    saying = Saying("containers")
    if facts.survey is None:
        return
    for stuck in facts.survey.stuck:
        yield saying.warning(
            f"{stuck.number} {stuck.what}, the first since {duration(facts.at - stuck.since)}: {some(stuck.named)}",
            stuck.advice,
        )
    if not facts.survey.stuck:
        yield saying.ok(f"none of {facts.survey.containers} waits for long")


def check_left_out(facts: Facts) -> Iterator[Finding]:
    """What there was no time for."""
    for what in facts.left_out:
        yield Saying("doctor").note(what)


def _words(usage: Usage) -> str:
    return f"{usage.containers} containers, {usage.millicpus / 1000:g} cores, {usage.memory} MiB of memory, {usage.disk} GiB of disk"
