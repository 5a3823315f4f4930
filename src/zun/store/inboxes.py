# SPDX-License-Identifier: Apache-2.0
"""The write that tells a node what to make true of a container; made here by services and the leader alike, so that both say the same."""

from zun.model.inbox import inbox_of
from zun.model.records import ContainerRecord, Inbox, Place
from zun.store import codec, keys
from zun.store.interface import Put


def tell_node(
    record: ContainerRecord, wish: bytes, place: Place, place_raw: bytes, *, instead: Inbox | None = None
) -> Put:
    """The node's inbox entry for a wish and a place, each given with its bytes as they are (or are about to be) in the store; `instead`: another
    entry than follows from them.

    What a newer process said in either of them reaches the node, though this one does not know it.
    """
    inbox = inbox_of(record, place) if instead is None else instead
    value = codec.encode_derived(inbox, (record, wish), (place, place_raw))
    return Put(keys.inbox(place.node, record.uuid), value)
