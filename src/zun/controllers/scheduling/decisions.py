# SPDX-License-Identifier: Apache-2.0
"""What the leader decided about one container: the conditions it rests on and the writes."""

import msgspec

from zun.controllers.scheduling.cluster import Held
from zun.store.interface import Compare, Op
from zun.telemetry.metrics import Metric


class Decision(msgspec.Struct, frozen=True):
    """`held` is what the container will have once this is written, None for nothing.

    `otherwise` is what to write when the store refuses this as too large. `request_id` is that of the request behind it, `says` a line for
    the log once it is written; then it `counts` under that metric with these `labels`. `asked_at`: when what it answers was accepted.
    """

    uuid: str
    compares: tuple[Compare, ...]
    ops: tuple[Op, ...]
    held: Held | None = None
    otherwise: "Decision | None" = None
    request_id: str = ""
    says: str = ""
    counts: Metric | None = None
    labels: tuple[str, ...] = ()
    asked_at: float | None = None
