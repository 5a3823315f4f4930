# SPDX-License-Identifier: Apache-2.0
"""Secrets: encrypted at rest with the installation's master key, and sealed for one node at placement.

The master key never leaves the control plane. A node opens what was sealed for it with its own private key, so a captured
node reads its own containers' secrets and nobody else's.
Built on libsodium (PyNaCl): SecretBox (XSalsa20-Poly1305) and SealedBox (X25519).
"""

import hashlib
import os
from pathlib import Path

import nacl.exceptions
import nacl.public
import nacl.secret
import nacl.utils


class BadKeyError(Exception):
    """A key file is damaged, or a secret belongs to another key. Says what to do."""


def _private_file(path: Path, content: bytes) -> bytes:
    """Write `content` to a new file of mode 0600, or return what an existing one holds (two starters agree)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return path.read_bytes()
    finally:
        temporary.unlink()
    return content


class MasterKey:
    """The control plane's key for secrets at rest."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._box = nacl.secret.SecretBox(key)
        self.fingerprint = hashlib.sha256(b"zun master key" + key).hexdigest()[:16]
        """Tells this key from others, and nothing of it."""

    @classmethod
    def load(cls, path: Path) -> "MasterKey":
        """The key in `path`, made (mode 0600) when the file is absent. Raises `BadKeyError` when it is no key."""
        key = path.read_bytes() if path.exists() else _private_file(path, nacl.utils.random(32))
        if len(key) != nacl.secret.SecretBox.KEY_SIZE:
            raise BadKeyError(f"The master key in {path} is damaged; restore it from your backup.")
        return cls(key)

    def encrypt(self, secret: bytes) -> bytes:
        """The secret as it may lie in the store."""
        return bytes(self._box.encrypt(secret))

    def decrypt(self, stored: bytes) -> bytes:
        """The secret again. Raises `BadKeyError` when it was written with another key."""
        try:
            return self._box.decrypt(stored)
        except nacl.exceptions.CryptoError as error:
            raise BadKeyError("A stored secret does not open with this installation's master key.") from error

    def derive(self, purpose: bytes, context: bytes) -> bytes:
        """32 bytes that only this installation can compute, others for each purpose and context (keyed BLAKE2b, RFC 7693)."""
        own = hashlib.blake2b(purpose, key=self._key, digest_size=32).digest()
        return hashlib.blake2b(context, key=own, digest_size=32).digest()


class NodeKey:
    """A node's private key; what was sealed for its public key opens with it."""

    def __init__(self, key: bytes) -> None:
        self._key = nacl.public.PrivateKey(key)

    @classmethod
    def load(cls, path: Path) -> "NodeKey":
        """The key in `path`, made (mode 0600) when the file is absent. Raises `BadKeyError` when it is no key."""
        key = path.read_bytes() if path.exists() else _private_file(path, bytes(nacl.public.PrivateKey.generate()))
        if len(key) != nacl.public.PrivateKey.SIZE:
            raise BadKeyError(f"The node key in {path} is damaged; remove the file and register the node again.")
        return cls(key)

    @property
    def public(self) -> str:
        """The public key as text (hex), for the node's record."""
        return bytes(self._key.public_key).hex()

    def open(self, sealed: bytes) -> bytes:
        """What was sealed. Raises `BadKeyError` when it was sealed for another node."""
        try:
            return nacl.public.SealedBox(self._key).decrypt(sealed)
        except nacl.exceptions.CryptoError as error:
            raise BadKeyError("A secret was sealed for another node's key; register this node again.") from error


def seal(public_key: str, secret: bytes) -> bytes:
    """Seal a secret so that only the node with that public key (hex) can open it."""
    return nacl.public.SealedBox(nacl.public.PublicKey(bytes.fromhex(public_key))).encrypt(secret)
