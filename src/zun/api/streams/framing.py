# SPDX-License-Identifier: Apache-2.0
"""Bytes with a channel: the frames of multiplexed logs and of the console protocol `zun.v1` (docs/api-extensions.md)."""

import struct
from enum import IntEnum
from typing import Annotated

import msgspec

from zun.drivers.runtime.types import Channel, Chunk
from zun.model.errors import Invalid

_CHANNEL_NUMBERS = {Channel.STDOUT: 1, Channel.STDERR: 2}
_LOG_HEADER = struct.Struct(">BI")


class Frame(IntEnum):
    """The first byte of a frame of `zun.v1`."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    END = 3
    RESIZE = 4
    END_OF_INPUT = 5


_Cells = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Size(msgspec.Struct, frozen=True):
    """A terminal's size, in characters."""

    width: _Cells
    height: _Cells


class Input(msgspec.Struct, frozen=True):
    """Bytes for the process."""

    data: bytes


class EndOfInput(msgspec.Struct, frozen=True):
    """Nothing more comes for the process."""


class End(msgspec.Struct, frozen=True, omit_defaults=True):
    """How it ended; `exit_code` is None when nobody knows."""

    exit_code: int | None
    reason: str = ""


def log_frame(chunk: Chunk) -> bytes:
    """A piece of a multiplexed log."""
    return _LOG_HEADER.pack(_CHANNEL_NUMBERS[chunk.channel], len(chunk.data)) + chunk.data


def output_frame(chunk: Chunk) -> bytes:
    """Output of the process."""
    return bytes([_CHANNEL_NUMBERS[chunk.channel]]) + chunk.data


def end_frame(end: End) -> bytes:
    """The last frame."""
    return bytes([Frame.END]) + msgspec.json.encode(end)


def read_frame(frame: bytes) -> Input | Size | EndOfInput:
    """A frame of a client. Raises `Invalid` for what no client may send."""
    if not frame:
        raise Invalid("A frame of zun.v1 has at least the byte that names its channel.")
    channel, payload = frame[0], frame[1:]
    if channel == Frame.STDIN:
        return Input(payload)
    if channel == Frame.END_OF_INPUT:
        return EndOfInput()
    if channel != Frame.RESIZE:
        raise Invalid(f"Clients may send on the channels 0, 4 and 5 of zun.v1, not on {channel}.")
    try:
        return msgspec.json.decode(payload, type=Size)
    except msgspec.DecodeError as error:
        raise Invalid('A frame on channel 4 holds a size: {"width": 80, "height": 24}.') from error
