# SPDX-License-Identifier: Apache-2.0
"""Talking to the kernel about links, addresses and routes: requests in, errors as `OSError` with the kernel's own words.

pyroute2 knows the messages. Its sockets are not used: one in another namespace costs it a forked process (12 ms and more, where all of
a sandbox's requests take three), and they bring an event loop of their own. Ours is plain, and serves the thread that made it.
"""

import errno
import os
import socket
import struct
import time
from collections.abc import Iterable
from typing import Any

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from zun.model.errors import Timeout

NLM_F_REQUEST, NLM_F_ACK = 0x1, 0x4
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400

_RTM_GETLINK = 18
_NLM_F_DUMP = 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_HEADER = struct.Struct("=IHHII")
_NUMBER = struct.Struct("=i")
_ATTRIBUTE = struct.Struct("=HH")
_TLVS, _CAPPED = 0x200, 0x100
_MESSAGE_ATTRIBUTE = 1
_BUFFER_BYTES = 65536


class Netlink:
    """A conversation in the namespace of the thread that opens it, until a moment of `time.monotonic()`. Raises `Timeout` after that."""

    def __init__(self, deadline: float, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._deadline = deadline
        self._sequence = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        for option in (_CAP_ACK, _EXT_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._socket.bind((0, 0))

    def __enter__(self) -> "Netlink":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def change(self, kind: int, message: Any, flags: int = 0) -> None:
        """Have one thing changed. Raises `OSError` with the kernel's errno."""
        self.change_all([(kind, message, flags)])

    def change_all(self, changes: Iterable[tuple[int, Any, int]]) -> None:
        """Have several changed in order, in one go. Raises the first `OSError`; what comes after it is tried all the same."""
        self._send([self._encoded(kind, message, flags | NLM_F_ACK) for kind, message, flags in changes])

    def send_all(self, requests: Iterable[tuple[int, bytes]]) -> None:
        """The same for messages that are bytes already."""
        self._send([self._framed(kind, body) for kind, body in requests])

    def _send(self, messages: list[bytes]) -> None:
        awaited = set(range(self._sequence - len(messages) + 1, self._sequence + 1))
        if awaited:
            self._socket.send(b"".join(messages))
        first: OSError | None = None
        while awaited:
            for sequence, number, text, _ in self._received():
                if sequence in awaited and number is not None:
                    awaited.discard(sequence)
                    first = first or (OSError(number, text) if number else None)
        if first is not None:
            raise first

    def link(self, name: str) -> Any | None:
        """A link as the kernel has it, or None when there is none. Raises `OSError`."""
        wanted = ifinfmsg()
        wanted["attrs"] = [("IFLA_IFNAME", name)]
        self._socket.send(self._encoded(_RTM_GETLINK, wanted, 0))
        while True:
            for sequence, number, text, data in self._received():
                if sequence != self._sequence:
                    continue
                if number is None:
                    found = ifinfmsg(data)
                    found.decode()
                    return found
                if number == errno.ENODEV:
                    return None
                raise OSError(number, text)

    def all_of(self, kind: int, request: Any) -> list[Any]:
        """Everything of a kind (links, addresses, routes) as the kernel has it. Raises `OSError`."""
        self._socket.send(self._encoded(kind, request, _NLM_F_DUMP))
        found: list[Any] = []
        while True:
            for sequence, number, text, data in self._received():
                if sequence != self._sequence:
                    continue
                if number:
                    raise OSError(number, text)
                if _HEADER.unpack_from(data)[1] == _NLMSG_DONE:
                    return found
                one = type(request)(data)
                one.decode()
                found.append(one)

    def _encoded(self, kind: int, message: Any, flags: int) -> bytes:
        self._sequence += 1
        message["header"]["type"] = kind
        message["header"]["flags"] = flags | NLM_F_REQUEST
        message["header"]["sequence_number"] = self._sequence
        message.encode()
        data = bytes(message.data)
        return data + bytes(-len(data) % 4)

    def _framed(self, kind: int, body: bytes) -> bytes:
        self._sequence += 1
        padded = body + bytes(-len(body) % 4)
        return _HEADER.pack(_HEADER.size + len(body), kind, NLM_F_REQUEST | NLM_F_ACK, self._sequence, 0) + padded

    def _received(self) -> list[tuple[int, int | None, str, bytes]]:
        """The next messages: sequence, error number (0: done; None: it is an answer), the kernel's words, the whole message."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise _too_slow()
        self._socket.settimeout(left)
        try:
            data = self._socket.recv(_BUFFER_BYTES)
        except TimeoutError as error:
            raise _too_slow() from error
        found = []
        while len(data) >= _HEADER.size:
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data)
            body = data[_HEADER.size : length]
            number, text = _error(body, flags) if kind == _NLMSG_ERROR else (None, "")
            found.append((sequence, number, text, data[:length]))
            data = data[(length + 3) & ~3 :]
        return found


def _error(body: bytes, flags: int) -> tuple[int, str]:
    number = -int(_NUMBER.unpack_from(body)[0])
    return number, _words(body, flags) or (os.strerror(number) if number else "")


def _words(body: bytes, flags: int) -> str:
    if not flags & _TLVS:
        return ""
    quoted = _HEADER.size if flags & _CAPPED else _HEADER.unpack_from(body, 4)[0]
    rest = body[4 + ((quoted + 3) & ~3) :]
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        if kind == _MESSAGE_ATTRIBUTE:
            return rest[_ATTRIBUTE.size : length].rstrip(b"\0").decode(errors="replace")
        rest = rest[max(_ATTRIBUTE.size, (length + 3) & ~3) :]
    return ""


def _too_slow() -> Timeout:
    return Timeout("The kernel did not change a network in time; see whether the machine is overloaded.")
