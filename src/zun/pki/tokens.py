# SPDX-License-Identifier: Apache-2.0
"""Tokens: what an operator carries to a new machine, so that it and the control plane recognise each other.

A token is one word, `zun1.` and base64url of JSON. Its secret is derived from the master key and the token's number, and the number
says when it ends: so that a server can refuse what is forged or too old without asking its store, and the store holds no secret.
"""

import base64
import binascii
import re
import secrets
from typing import Annotated

import msgspec

from zun.base.sealing import MasterKey
from zun.model.errors import Invalid

PREFIX = "zun1."
MAX_CHARACTERS = 4096
_PURPOSE = b"zun join token"
_ID = re.compile(r"[0-9a-f]{16}\.(?P<end>[0-9]{1,11})")


class JoinToken(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a token says. `ca` is the SHA-256 (hex) of the authority's certificate; `name` the node's, "" when it is free.

    Never to be logged or shown but by who made it.
    """

    urls: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=16)] = msgspec.field(name="u")
    id: str = msgspec.field(name="i")
    secret: bytes = msgspec.field(name="s")
    ca: str = msgspec.field(name="ca")
    name: str = msgspec.field(name="n", default="")

    def __repr__(self) -> str:
        return f"JoinToken({self.id})"

    def text(self) -> str:
        """The word."""
        return PREFIX + base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")


def read_token(text: str) -> JoinToken:
    """The token in a word. Raises `Invalid`, which never repeats the word."""
    word = text.strip()
    bad = Invalid("This is no token; copy the whole word that `zunctl node token` printed.")
    if not word.startswith(PREFIX) or len(word) > MAX_CHARACTERS:
        raise bad
    encoded = word.removeprefix(PREFIX)
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=JoinToken)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        raise bad from None  # the cause would quote what was typed


def new_token_id(expires_at: float) -> str:
    """A number for a new token that ends then (seconds since the epoch)."""
    return f"{secrets.token_hex(8)}.{int(expires_at)}"


def secret_of(master_key: MasterKey, token_id: str) -> bytes:
    """The secret that belongs to a number."""
    return master_key.derive(_PURPOSE, token_id.encode())


def expiry_of(token_id: str) -> int | None:
    """When a token ends; None for what is no token's number."""
    found = _ID.fullmatch(token_id)
    return int(found["end"]) if found else None
