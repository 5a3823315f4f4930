# SPDX-License-Identifier: Apache-2.0
"""Identifiers: made in one place so that their form is a fact with one home."""

import re
import secrets
import uuid

_UUID = re.compile(r"^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$")


def new_uuid() -> str:
    """A random UUID in its canonical lower-case form."""
    return str(uuid.uuid4())


def new_request_id() -> str:
    """The id of one API request, which is also the key of the action it caused: `req-` and a random UUID.

    Every request has one, so it is put together from random digits; that costs a third of making a UUID object.
    """
    digits = secrets.token_hex(16)
    return f"req-{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def new_token() -> str:
    """A secret that cannot be guessed (256 bits, URL safe)."""
    return secrets.token_urlsafe(32)


def canonical_uuid(text: str) -> str | None:
    """The canonical form when `text` is a UUID (with or without dashes, any case), else None."""
    return str(uuid.UUID(text)) if _UUID.match(text) else None
