# SPDX-License-Identifier: Apache-2.0
"""Every transaction that etcd was asked for, read from its write-ahead log: compares and operations as they were sent.

A watch shows what changed, but neither compares nor transactions that failed. Only what is needed is read of the formats, which are
`wal/walpb/record.proto` (framed as in `wal/encoder.go`), `raft/raftpb/raft.proto` and `etcdserver/etcdserverpb/raft_internal.proto`
of etcd 3.4. etcd must keep its whole log (`--max-wals 0`).
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from zun.store.etcd import rpc_pb2 as pb

_LENGTH = (1 << 56) - 1
_RECORD_TYPE, _RECORD_DATA, _IS_ENTRY = 1, 3, 2
_ENTRY_TYPE, _ENTRY_DATA, _IS_NORMAL = 1, 4, 0
_REQUEST_TXN = 6


def transactions(data_dir: Path, begin: str, end: str) -> list[pb.TxnRequest]:
    """The transactions between the first that writes the key `begin` and the next that writes `end`, in the order of their effect."""
    found: list[pb.TxnRequest] = []
    inside = False
    for raw in _raw_transactions(data_dir / "member" / "wal"):
        if not inside and begin.encode() not in raw:
            continue
        request = pb.TxnRequest.FromString(raw)
        written = {op.request_put.key for op in request.success}
        if begin.encode() in written:
            inside = True
        elif end.encode() in written:
            return found
        elif inside:
            found.append(request)
    raise RuntimeError(f"the log of etcd holds no transactions from {begin} to {end}")


def _raw_transactions(directory: Path) -> Iterator[bytes]:
    for segment in sorted(directory.glob("*.wal")):
        for record in _records(segment.read_bytes()):
            if record.get(_RECORD_TYPE) != _IS_ENTRY:
                continue
            entry = _fields(_bytes(record[_RECORD_DATA]))
            data = entry.get(_ENTRY_DATA)
            if data and entry.get(_ENTRY_TYPE, 0) == _IS_NORMAL:
                request = _fields(_bytes(data)).get(_REQUEST_TXN)
                if request is not None:
                    yield _bytes(request)


def _records(content: bytes) -> Iterator[dict[int, int | bytes]]:
    """A segment's records; what follows the last one is zeroes."""
    at = 0
    while at + 8 <= len(content):
        (word,) = struct.unpack_from("<q", content, at)
        if not word:
            return
        length = word & _LENGTH
        padding = (word >> 56) & 7 if word < 0 else 0
        yield _fields(content[at + 8 : at + 8 + length])
        at += 8 + length + padding


def _fields(raw: bytes) -> dict[int, int | bytes]:
    """A message's fields by number (of a repeated one the last)."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            found[number], at = _varint(raw, at)
        elif wire_type == 2:
            length, at = _varint(raw, at)
            found[number] = raw[at : at + length]
            at += length
        else:
            at += 8 if wire_type == 1 else 4
    return found


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise TypeError("the log of etcd has another format than is known here")
    return value
