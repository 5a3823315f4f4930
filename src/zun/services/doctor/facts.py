# SPDX-License-Identifier: Apache-2.0
"""What is looked at. Times are seconds since the epoch by the clock of the process that examines, unless it is said otherwise."""

import msgspec

from zun.model.process import ProcessRecord
from zun.model.records import Usage
from zun.store.health import MemberHealth


class StoreFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The store. `trouble`: why it did not answer; then what it would have told is missing.

    `stale_since`: the view does not follow it since then. `oldest_revision`: what was before it is forgotten.
    """

    driver: str
    trouble: str = ""
    asked_seconds: float = 0.0
    stale_since: float | None = None
    revision: int = 0
    oldest_revision: int = 0
    members: tuple[MemberHealth, ...] = ()


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A node. `seen_at` is when it last gave an account of itself, by its clock; `streams` why API servers do not reach it, "" when they do.

    `ahead_seconds`: how far its clock is ahead of ours, give or take `doubt_seconds`; None: it was not asked.
    """

    name: str
    alive: bool
    registered: bool = True
    disabled: bool = False
    disabled_reason: str = ""
    forced_down: bool = False
    draining: bool = False
    restarting: bool = False
    seen_at: float | None = None
    containers: int = 0
    version: str = ""
    engine_error: str = ""
    streams: str = ""
    ahead_seconds: float | None = None
    doubt_seconds: float = 0.0
    certificate_expires_at: float | None = None
    state_free_mib: int | None = None
    strays: int = 0
    named_strays: tuple[str, ...] = ()


class ProjectFacts(msgspec.Struct, frozen=True):
    """A project whose recorded usage is not the sum of what it has."""

    project_id: str
    recorded: Usage
    counted: Usage


class Stuck(msgspec.Struct, frozen=True):
    """Containers for which something waits for long: `what` completes "… for long", some of them by uuid, since when the first one does."""

    what: str
    advice: str
    number: int
    named: tuple[str, ...]
    since: float


class Survey(msgspec.Struct, frozen=True):
    """What a walk over all containers found."""

    containers: int
    projects: int
    wrong: tuple[ProjectFacts, ...]
    stuck: tuple[Stuck, ...]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All of them. `leader` is "" when no controller leads; `survey` is None when there was no time for it, `left_out` says what else was not
    looked at, and why."""

    at: float
    version: str
    store: StoreFacts
    leader: str
    processes: tuple[ProcessRecord, ...]
    nodes: tuple[NodeFacts, ...]
    survey: Survey | None
    left_out: tuple[str, ...] = ()
