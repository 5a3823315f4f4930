# SPDX-License-Identifier: Apache-2.0
"""What the store port answers, in the words of etcd's protocol; refusals with the texts that clients of etcd know."""

from collections.abc import Sequence

import grpc

from zun.model.errors import Denied, Invalid, NotFound, Timeout, Unavailable, ZunError
from zun.store.etcd import rpc_pb2 as pb
from zun.store.interface import Compacted, Event, Get, KeyValue, Op, Put, RangeResult, TxnResult, WatchBatch

PERMISSION_DENIED = (grpc.StatusCode.PERMISSION_DENIED, "etcdserver: permission denied")
UNKNOWN_LEASE = (grpc.StatusCode.NOT_FOUND, "etcdserver: requested lease not found")
TOO_MANY = (grpc.StatusCode.RESOURCE_EXHAUSTED, "etcdserver: too many requests")
NO_STORE = (grpc.StatusCode.UNAVAILABLE, "etcdserver: no leader")
"""The store is away, and nothing was done."""

IN_DOUBT = (grpc.StatusCode.UNAVAILABLE, "etcdserver: request timed out")
COMPACTED = (grpc.StatusCode.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted")

_VERSION = "3.4.0"
"""The protocol that is spoken here; clients ask for nothing newer then."""


def refusal(error: ZunError | Compacted, *, writing: bool = False) -> tuple[grpc.StatusCode, str]:
    """How a failed call is told."""
    match error:
        case Compacted():
            return COMPACTED
        case NotFound():
            return UNKNOWN_LEASE
        case Timeout():
            return IN_DOUBT
        case Unavailable():
            return NO_STORE
        case Invalid():
            return grpc.StatusCode.INVALID_ARGUMENT, f"etcdserver: {error.message}"
        case Denied():
            return grpc.StatusCode.FAILED_PRECONDITION, "etcdserver: the gate's own user may not do this"
    return IN_DOUBT if writing else (grpc.StatusCode.INTERNAL, "etcdserver: the gate failed")


def status(cluster_id: int) -> pb.StatusResponse:
    """A member that is well. All gates of an installation are one cluster."""
    return pb.StatusResponse(header=pb.ResponseHeader(cluster_id=cluster_id), version=_VERSION, leader=1)


def single(found: KeyValue | None, revision: int) -> pb.RangeResponse:
    """One key, or none."""
    return pb.RangeResponse(header=_header(revision), kvs=[_key_value(found)] if found is not None else [])


def page(found: RangeResult, revision: int) -> pb.RangeResponse:
    """A page of keys."""
    return pb.RangeResponse(header=_header(revision), kvs=map(_key_value, found.items), more=found.more)


def transaction(result: TxnResult, success: Sequence[Op], failure: Sequence[Op]) -> pb.TxnResponse:
    """What a transaction did, an entry per operation."""
    taken = success if result.succeeded else failure
    reads = iter(result.reads)
    responses = [_response(op, next(reads) if isinstance(op, Get) else None, result.revision) for op in taken]
    return pb.TxnResponse(header=_header(result.revision), succeeded=result.succeeded, responses=responses)


def batch(changes: WatchBatch) -> pb.WatchResponse:
    """Changes, or a mark of progress."""
    return pb.WatchResponse(header=_header(changes.revision), events=map(_event, changes.events))


def _header(revision: int) -> pb.ResponseHeader:
    return pb.ResponseHeader(revision=revision)


def _response(op: Op, read: KeyValue | None, revision: int) -> pb.ResponseOp:
    match op:
        case Get():
            return pb.ResponseOp(response_range=single(read, revision))
        case Put():
            return pb.ResponseOp(response_put=pb.PutResponse(header=_header(revision)))
    return pb.ResponseOp(response_delete_range=pb.DeleteRangeResponse(header=_header(revision)))


def _key_value(kv: KeyValue) -> pb.KeyValue:
    return pb.KeyValue(
        key=kv.key.encode(),
        value=kv.value,
        create_revision=kv.create_revision,
        mod_revision=kv.mod_revision,
        version=kv.version,
        lease=kv.lease,
    )


def _event(event: Event) -> pb.Event:
    return pb.Event(type=pb.Event.DELETE if event.deleted else pb.Event.PUT, kv=_key_value(event.kv))
