# SPDX-License-Identifier: Apache-2.0
"""How the daemon and those who call it know each other over loopback, where any user of the machine may listen and connect.

The daemon picks a key and a port at each start and writes both to a file that only its own user (and root) reads. Both sides prove
that they know the key by a keyed hash over what they say; the key itself is never sent, so who took the port of a daemon that is away
learns nothing and is not believed. The executable has this in its own words, since it imports nothing: change both.
"""

import hmac
import secrets
from hashlib import blake2b
from pathlib import Path

import msgspec

from zun.base.private_file import is_private, replace_private
from zun.model.errors import Unavailable

KEY_BYTES = 32
SEAL_BYTES = 32


class Endpoint(msgspec.Struct, frozen=True):
    """Where the daemon of the moment listens, and the key of its life."""

    host: str
    port: int
    key: bytes

    def __repr__(self) -> str:
        """Without the key, so that no log line can hold it."""
        return f"Endpoint({self.host}:{self.port})"


def endpoint_path(state_dir: Path) -> Path:
    """Where the endpoint is written."""
    return state_dir / "cni" / "endpoint"


def new_key() -> bytes:
    """The key of a daemon's life."""
    return secrets.token_bytes(KEY_BYTES)


def new_nonce() -> str:
    """What ties an answer to its question."""
    return secrets.token_hex(16)


def write_endpoint(path: Path, endpoint: Endpoint) -> None:
    """Tell where the daemon listens. Raises `OSError`."""
    replace_private(path, f"{endpoint.host} {endpoint.port} {endpoint.key.hex()}\n".encode())


def read_endpoint(path: Path) -> Endpoint:
    """Where the daemon listens, or did. Raises `Unavailable`."""
    try:
        if not is_private(path):
            raise Unavailable(f"{path} can be read by others; see who changed its mode, and restart the daemon.")
        host, port, key = path.read_text().split()
        return Endpoint(host, int(port), bytes.fromhex(key))
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"The network daemon has not written {path}; start it (`zund cni-daemon`, or zund with [network] driver = cni)."
        ) from error


def seal(key: bytes, nonce: str, about: str, body: bytes) -> str:
    """The proof for a message: `about` is the path of a request, the status of an answer."""
    return blake2b(f"{nonce}\n{about}\n".encode() + body, key=key, digest_size=SEAL_BYTES).hexdigest()


def is_sealed(key: bytes, nonce: str, about: str, body: bytes, shown: str) -> bool:
    """Whether a message comes from somebody who knows the key."""
    return hmac.compare_digest(seal(key, nonce, about, body).encode(), shown.encode())
