# SPDX-License-Identifier: Apache-2.0
"""A place that stays on its node and is another one otherwise: what a grant or a refusal writes, and the node learns."""

from collections.abc import Iterable

from zun.controllers.scheduling.cluster import PENDING, Cluster, Held
from zun.controllers.scheduling.decisions import Decision, News
from zun.controllers.scheduling.tenants import tenant_in
from zun.model.records import Place
from zun.store import codec, keys
from zun.store.inboxes import tell_node
from zun.store.interface import Compare, Op, Put, unchanged
from zun.store.view import ContainerEntry


def change(
    entry: ContainerEntry,
    place: Place,
    cluster: Cluster,
    news: News,
    *,
    compares: Iterable[Compare] = (),
    ops: Iterable[Op] = (),
) -> Decision:
    """Write `place`, under the condition that nobody changed wish or place meanwhile. It is counted in `cluster` at once."""
    record, decided = entry.record(), codec.encode(place, over=entry.place_raw)
    held = Held(
        node=place.node,
        claim=place.claim,
        addresses=tuple(place.addresses),
        revision=PENDING,
        tenant=tenant_in(entry.wish_raw),
    )
    cluster.hold(record.uuid, held)
    return Decision(
        uuid=record.uuid,
        compares=(
            unchanged(keys.container(record.uuid), entry.wish_revision),
            unchanged(keys.place(record.uuid), entry.place_revision),
            *compares,
        ),
        ops=(Put(keys.place(record.uuid), decided), tell_node(record, entry.wish_raw, place, decided), *ops),
        held=held,
        news=news,
    )
