# SPDX-License-Identifier: Apache-2.0
"""What a node asks, read from etcd's protocol into the words of the store port, if the node may ask it. No I/O.

What is not understood is not permitted: another shape of range, a field or an operation that our client does not use.
"""

from collections.abc import Iterable

import msgspec
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from zun.store.accounts import Access, Right
from zun.store.etcd import rpc_pb2 as pb
from zun.store.interface import Compare, CompareField, Delete, DeletePrefix, Get, Op, Put
from zun.store.keyrange import first_key, prefix_end

MAX_PAGE_KEYS = 1000
"""So many keys a page has at most, whatever was asked for."""

MAX_READS = 4
"""So many keys a transaction reads at most; a value may have 1.5 MB, and the gate holds them all."""


class NotPermitted(Exception):
    """The node may not do this, or it is nothing that our client does."""


class Page(msgspec.Struct, frozen=True):
    """Keys with a prefix that are wanted."""

    prefix: str
    start_after: str
    limit: int
    revision: int
    keys_only: bool


class Single(msgspec.Struct, frozen=True):
    """One key that is wanted."""

    key: str
    revision: int


class Transaction(msgspec.Struct, frozen=True):
    """What is to be done; `leases` are those that it uses."""

    compares: list[Compare]
    success: list[Op]
    failure: list[Op]
    leases: frozenset[int]


class Watched(msgspec.Struct, frozen=True):
    """Changes that are wanted; `from_revision` 0: from now on. `single`: only those of the key that the prefix is."""

    prefix: str
    from_revision: int
    single: bool


class Reader:
    """Reads requests of one node. Every method raises `NotPermitted`."""

    def __init__(self, rights: Iterable[Right]) -> None:
        rights = tuple(rights)
        self._single = frozenset(right.prefix for right in rights if right.single)
        rights = tuple(right for right in rights if not right.single)
        self._readable = tuple(right.prefix for right in rights)
        self._writable = tuple(right.prefix for right in rights if right.access is Access.READ_WRITE)
        # Of its own keys a node could make a history as large as it likes, and have all of it told at once.
        self._watchable = tuple(right.prefix for right in rights if right.access is Access.READ)

    def range(self, request: pb.RangeRequest) -> Page | Single:
        """A read."""
        _plain(request)
        if not request.range_end:
            key = _text(request.key)
            if key not in self._single:
                self._below(key, self._readable)
            return Single(key, request.revision)
        prefix = _prefix_of(request.range_end)
        self._below(prefix, self._readable)
        limit = min(request.limit, MAX_PAGE_KEYS) if request.limit > 0 else MAX_PAGE_KEYS
        return Page(prefix, _start_after(request.key, prefix), limit, request.revision, request.keys_only)

    def transaction(self, request: pb.TxnRequest) -> Transaction:
        """A transaction, with each branch of it."""
        _plain(request)
        compares = [self._compare(one) for one in request.compare]
        success = [self._operation(one) for one in request.success]
        failure = [self._operation(one) for one in request.failure]
        if sum(isinstance(op, Get) for op in (*success, *failure)) > MAX_READS:
            raise NotPermitted
        leases = frozenset(op.lease for op in (*success, *failure) if isinstance(op, Put) and op.lease)
        return Transaction(compares, success, failure, leases)

    def watch(self, request: pb.WatchCreateRequest) -> Watched:
        """A watch of a prefix, or of one key, of what is written for the node."""
        _plain(request)
        if request.start_revision < 0:
            raise NotPermitted
        if not request.range_end:
            return Watched(self._key(request.key, self._watchable), request.start_revision, single=True)
        prefix = _prefix_of(request.range_end)
        self._below(prefix, self._watchable)
        if request.key != prefix.encode():
            raise NotPermitted
        return Watched(prefix, request.start_revision, single=False)

    def _compare(self, compare: pb.Compare) -> Compare:
        _plain(compare)
        field, chosen = _FIELDS.get(compare.target, (None, ""))
        if field is None or compare.result != pb.Compare.EQUAL or compare.WhichOneof("expected") not in (chosen, None):
            raise NotPermitted
        return Compare(self._key(compare.key, self._readable), field, getattr(compare, chosen))

    def _operation(self, operation: pb.RequestOp) -> Op:
        _plain(operation)
        match operation.WhichOneof("request"):
            case "request_range":
                return self._get(operation.request_range)
            case "request_put":
                put = operation.request_put
                _plain(put)
                return Put(self._key(put.key, self._writable), put.value, put.lease)
            case "request_delete_range":
                return self._delete(operation.request_delete_range)
        raise NotPermitted

    def _get(self, request: pb.RangeRequest) -> Get:
        wanted = self.range(request)
        if not isinstance(wanted, Single) or wanted.revision or request.limit or request.keys_only:
            raise NotPermitted
        return Get(wanted.key)

    def _delete(self, request: pb.DeleteRangeRequest) -> Delete | DeletePrefix:
        _plain(request)
        if not request.range_end:
            return Delete(self._key(request.key, self._writable))
        prefix = _prefix_of(request.range_end)
        self._below(prefix, self._writable)
        if request.key != prefix.encode():
            raise NotPermitted
        return DeletePrefix(prefix)

    def _key(self, raw: bytes, allowed: tuple[str, ...]) -> str:
        key = _text(raw)
        self._below(key, allowed)
        return key

    def _below(self, key: str, allowed: tuple[str, ...]) -> None:
        if not key.startswith(allowed):
            raise NotPermitted


_FIELDS = {
    pb.Compare.VERSION: (CompareField.VERSION, "version"),
    pb.Compare.CREATE: (CompareField.CREATE_REVISION, "create_revision"),
    pb.Compare.MOD: (CompareField.MOD_REVISION, "mod_revision"),
    pb.Compare.VALUE: (CompareField.VALUE, "value"),
}


def _plain(message: Message) -> None:
    """Refuse a message with a field that we do not know: it may ask for more than what is checked."""
    if len(UnknownFieldSet(message)):
        raise NotPermitted


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise NotPermitted from None


def _prefix_of(range_end: bytes) -> str:
    """The prefix whose keys end before `range_end`."""
    if not range_end[-1]:
        raise NotPermitted
    raw = range_end[:-1] + bytes([range_end[-1] - 1])
    if prefix_end(raw) != range_end:
        raise NotPermitted
    return _text(raw)


def _start_after(begin: bytes, prefix: str) -> str:
    """The key after which a page begins, "" for the first page."""
    raw = prefix.encode()
    if begin == raw:
        return ""
    if not begin.startswith(raw) or not begin.endswith(b"\x00"):
        raise NotPermitted
    key = _text(begin[:-1])
    if first_key(raw, key.encode()) != begin:
        raise NotPermitted
    return key
