# SPDX-License-Identifier: Apache-2.0
"""What the leader decided about one container: the conditions it rests on and the writes."""

import msgspec

from zun.controllers.scheduling.cluster import Held
from zun.store.interface import Compare, Op


class Decision(msgspec.Struct, frozen=True):
    """`held` is what the container will have once this is written, None for nothing.

    `otherwise` is what to write when the store refuses this as too large; `before` are transactions that go first, under the same conditions,
    and may be done again.
    """

    uuid: str
    compares: tuple[Compare, ...]
    ops: tuple[Op, ...]
    held: Held | None = None
    otherwise: "Decision | None" = None
    before: tuple[tuple[Op, ...], ...] = ()
