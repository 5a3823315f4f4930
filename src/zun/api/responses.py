# SPDX-License-Identifier: Apache-2.0
"""Answers in the forms the wire contract knows."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

JSON = "application/json"
_encoder = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """A value as JSON."""
    return _encoder.encode(value)


def json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON document."""
    return Response(encode(value), status, dict(headers or {}), JSON)


def raw_json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON document that is encoded already."""
    return Response(body, status, dict(headers or {}), JSON)


def null(status: int = 200) -> Response:
    """What endpoints without a result answer."""
    return Response(b"null", status, media_type=JSON)


def no_content() -> Response:
    """204, without a body."""
    return Response(status_code=204)
