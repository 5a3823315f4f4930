# SPDX-License-Identifier: Apache-2.0
"""What makes a machine a node, as it lies in the state directory: who it is, where the store is, its key and certificates.

`node.pem` holds the key and the certificate in one file, so that they are replaced together or not at all. `membership.json` is
written last: a machine that has it has joined.
"""

from pathlib import Path
from typing import Annotated

import msgspec

from zun.agent.identity import MEMBERSHIP
from zun.base.private_file import replace_private
from zun.model.errors import Invalid, Unavailable
from zun.pki import pem
from zun.pki.facts import CertificateFacts, certificate_facts, read_file
from zun.pki.pem import PrivateKey


class Membership(msgspec.Struct, frozen=True):
    """As it lies in `membership.json`. `token_id` is the number of the token that it joined with."""

    node: str
    endpoints: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    token_id: str


class MembershipFiles:
    """The files of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.membership = state_dir / MEMBERSHIP
        self.trusted = state_dir / "ca.pem"
        self.certificate = state_dir / "node.pem"
        self.next_key = state_dir / "node-next.key"

    def load(self) -> Membership | None:
        """The membership, None for a machine that has not joined. Raises `Invalid` when it is damaged."""
        if not self.membership.exists():
            return None
        try:
            return msgspec.json.decode(read_file(self.membership), type=Membership)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Invalid(
                f"{self.membership} is damaged; restore it from a backup, or join again with a token for this node's name."
            ) from error

    def facts(self) -> CertificateFacts:
        """What the certificate says. Raises `NotFound`, `Unavailable`, `Invalid`."""
        return certificate_facts(self.certificate)

    def pending_key(self) -> PrivateKey:
        """The key for which a certificate is asked, on disk before anybody is asked, so that one asks again with the same."""
        if self.next_key.exists():
            return pem.key_from_pem(read_file(self.next_key), str(self.next_key))
        key = pem.new_key()
        self._write(self.next_key, pem.key_to_pem(key))
        return key

    def renewal_key(self) -> PrivateKey:
        """The key for the next certificate: pending, and not the present one's (its file stays when an installation is cut off)."""
        if self.next_key.exists():
            present = pem.certificate_from_pem(read_file(self.certificate), str(self.certificate)).public_key()
            if pem.public_bytes(self.pending_key().public_key()) == pem.public_bytes(present):
                self.next_key.unlink()
        return self.pending_key()

    def install(self, key: PrivateKey, certificate: str) -> None:
        """Take a new certificate into use. Raises `Unavailable` when it cannot be written; then the old one stays."""
        self._write(self.certificate, pem.key_to_pem(key) + certificate.encode())
        self.next_key.unlink(missing_ok=True)

    def save(self, membership: Membership, key: PrivateKey, certificate: str, trusted: str) -> None:
        """Have joined. May be repeated; what was broken off in between is no membership."""
        self._write(self.trusted, trusted.encode())
        self._write(self.certificate, pem.key_to_pem(key) + certificate.encode())
        self._write(self.membership, msgspec.json.encode(membership))
        self.next_key.unlink(missing_ok=True)

    def _write(self, path: Path, content: bytes) -> None:
        try:
            replace_private(path, content)
        except OSError as error:
            raise Unavailable(
                f"{path} cannot be written ({error.strerror}); check the directory and its disk."
            ) from error
