# SPDX-License-Identifier: Apache-2.0
"""What the leader decided about one container: the conditions it rests on and the writes."""

import msgspec

from zun.controllers.scheduling.cluster import Held
from zun.model.records import Intent
from zun.store.interface import Compare, Op
from zun.telemetry.metrics import Metric


class News(msgspec.Struct, frozen=True):
    """What is told of a decision once it is written: a line for the log, a figure, a part of its request's trace.

    `behind` is the intent that it serves, None when nobody asked. `began`: when it was being decided. `span` names the part of the
    trace; `waited` tells that the time since the intent was accepted is one of waiting for a place.
    """

    says: str
    behind: Intent | None
    counts: Metric | None = None
    labels: tuple[str, ...] = ()
    began: float = 0.0
    span: str = ""
    node: str = ""
    waited: bool = False


class Decision(msgspec.Struct, frozen=True):
    """`held` is what the container will have once this is written, None for nothing.

    `otherwise` is what to write when the store refuses this as too large; `before` are transactions that go first, under the same conditions,
    and may be done again.
    """

    uuid: str
    compares: tuple[Compare, ...]
    ops: tuple[Op, ...]
    news: News
    held: Held | None = None
    otherwise: "Decision | None" = None
    before: tuple[tuple[Op, ...], ...] = ()
