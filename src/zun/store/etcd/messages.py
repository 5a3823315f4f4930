# SPDX-License-Identifier: Apache-2.0
"""Between the words of our port and those of etcd's protocol."""

from collections.abc import Iterable, Sequence

from zun.store.etcd import rpc_pb2 as pb
from zun.store.interface import Compare, CompareField, Delete, DeletePrefix, Event, Get, KeyValue, Op, Put
from zun.store.keyrange import EVERYTHING_AFTER, prefix_end

_TARGETS = {
    CompareField.MOD_REVISION: (pb.Compare.MOD, "mod_revision"),
    CompareField.CREATE_REVISION: (pb.Compare.CREATE, "create_revision"),
    CompareField.VERSION: (pb.Compare.VERSION, "version"),
    CompareField.VALUE: (pb.Compare.VALUE, "value"),
}


def key_range(prefix: str) -> tuple[bytes, bytes]:
    """First key and range end of a prefix; etcd writes "no end" as a zero byte, and so the smallest key."""
    begin = prefix.encode()
    return begin or EVERYTHING_AFTER, prefix_end(begin) or EVERYTHING_AFTER


def transaction(compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op]) -> pb.TxnRequest:
    """A transaction's request."""
    return pb.TxnRequest(
        compare=[_compare(compare) for compare in compares],
        success=[_operation(op) for op in success],
        failure=[_operation(op) for op in failure],
    )


def reads(responses: Iterable[pb.ResponseOp]) -> tuple[KeyValue | None, ...]:
    """What the reads of a transaction found."""
    found = [op.response_range.kvs for op in responses if op.HasField("response_range")]
    return tuple(key_value(kvs[0]) if kvs else None for kvs in found)


def key_value(kv: pb.KeyValue) -> KeyValue:
    """One key."""
    return KeyValue(kv.key.decode(), kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def event(event: pb.Event) -> Event:
    """One change."""
    return Event(key_value(event.kv), deleted=event.type == pb.Event.DELETE)


def _compare(compare: Compare) -> pb.Compare:
    target, field = _TARGETS[compare.field]
    request = pb.Compare(result=pb.Compare.EQUAL, target=target, key=compare.key.encode())
    setattr(request, field, compare.expected)
    return request


def _operation(op: Op) -> pb.RequestOp:
    match op:
        case Put():
            return pb.RequestOp(request_put=pb.PutRequest(key=op.key.encode(), value=op.value, lease=op.lease))
        case Delete():
            return pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=op.key.encode()))
        case DeletePrefix():
            begin, end = key_range(op.prefix)
            return pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=begin, range_end=end))
        case Get():
            return pb.RequestOp(request_range=pb.RangeRequest(key=op.key.encode()))
