# SPDX-License-Identifier: Apache-2.0
"""Words for a container that leaves its node, and for the life of nodes (docs/decisions/0028-who-may-run-what-and-when.md)."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from zun.model.container import ContainerSpec
from zun.model.parts import NetRequest

MOST_GONE_SHARE = 0.3
"""When more of the nodes are gone at once, and more than one, nothing is moved: it is rather us, or a switch, than they."""

_MOST_MARGIN_SECONDS = 10.0


class LeavingKind(StrEnum):
    """Why a container is to leave its node; the values complete "its node is …"."""

    LOST = "lost"
    DRAINED = "drained"
    FORCED = "forced down"


class Resume(msgspec.Struct, omit_defaults=True, frozen=True):
    """How a container goes on that was on another node before.

    `intent_done` is the last intent known to be carried out there, `seq` the last that may have been begun there, `run` whether it
    is to run, `networks` those it was on when they were not the wish's. `request_id` names the move in its history, which began at `at`.
    """

    origin: str
    kind: LeavingKind
    request_id: str
    at: float
    intent_done: int = 0
    seq: int = 0
    run: bool = False
    networks: list[NetRequest] | None = None


class Leaving(msgspec.Struct, omit_defaults=True, frozen=True):
    """A container that is to be placed on another node.

    `lost_life` is set once the node was away for the container's delay: the revision of the node's `life` then (0: it has none), which must not
    have changed when it is placed elsewhere. `order` is set once the node was told to remove it: how it goes on afterwards.
    """

    kind: LeavingKind
    at: float
    request_id: str
    lost_life: int | None = None
    order: Resume | None = None


class AliveRecord(msgspec.Struct, omit_defaults=True, frozen=True):
    """A node's sign of life (`v/out/<node>/alive`): which boot of the machine, since when; and, when its agent restarts on purpose, until when that may last."""

    boot_id: str = ""
    since: float = 0.0
    restarting: bool = False
    until: float | None = None


def margin_seconds(delay_seconds: float) -> float:
    """How long before the end of the delay a node stops its containers by itself."""
    return min(_MOST_MARGIN_SECONDS, delay_seconds / 3)


def too_many_gone(gone: int, nodes: int) -> bool:
    """Whether so many of the nodes are gone that nothing is to be moved."""
    return gone > 1 and gone > MOST_GONE_SHARE * nodes


def bound_to_its_node(spec: ContainerSpec) -> str | None:
    """Why a container can be on no other node than its own, as the end of "it stays: …"; None: it can."""
    if spec.host is not None:
        return "it was asked to be on this host"
    if any(mount.file is None for mount in spec.mounts):
        return "it has a volume, which lies on this node"
    return None


def stays(spec: ContainerSpec) -> str | None:
    """Why a container stays on its node whatever becomes of that, as the end of "it stays: …"; None: it moves."""
    if not spec.auto_heal:
        return "auto_heal is off"
    return bound_to_its_node(spec)


def count_gone(nodes: Iterable[tuple[bool, bool]]) -> tuple[int, int]:
    """How many nodes are gone, and of how many: of those registered and not forced down. Each is given as (counts, gone)."""
    counted = [gone for counts, gone in nodes if counts]
    return sum(counted), len(counted)
