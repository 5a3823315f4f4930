# SPDX-License-Identifier: Apache-2.0
"""Failures in the words of the CNI specification 1.0.0 (section "Error"): what an engine can make of them decides the code."""

from enum import IntEnum

import msgspec

from zun.model.errors import Conflict, Invalid, NotFound, Timeout, Unavailable, Unsupported, ZunError


class Code(IntEnum):
    """Below 100: of the specification. From 100 on: our own."""

    INCOMPATIBLE_VERSION = 1
    UNKNOWN_CONTAINER = 3
    BAD_ENVIRONMENT = 4
    BAD_CONTENT = 6
    BAD_CONFIG = 7
    TRY_AGAIN = 11
    FAILED = 100
    UNTRUSTED = 101
    CONFLICT = 102
    DAMAGED = 103


class CniError(Exception):
    """A refusal with a code that the specification has for it. The message is a sentence for whoever reads the engine's log."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_CODES: tuple[tuple[type[ZunError], Code], ...] = (
    (NotFound, Code.UNKNOWN_CONTAINER),
    (Invalid, Code.BAD_CONFIG),
    (Unsupported, Code.BAD_CONFIG),
    (Conflict, Code.CONFLICT),
    (Timeout, Code.TRY_AGAIN),
    (Unavailable, Code.TRY_AGAIN),
)


def error_document(version: str, error: CniError | ZunError) -> bytes:
    """The error as a plugin prints it."""
    if isinstance(error, CniError):
        code = error.code
    else:
        code = next((code for kind, code in _CODES if isinstance(error, kind)), Code.FAILED)
    cause = error.__cause__
    details = f"{type(cause).__name__}: {cause}" if cause is not None else ""
    return msgspec.json.encode({"cniVersion": version, "code": code, "msg": error.message, "details": details})
