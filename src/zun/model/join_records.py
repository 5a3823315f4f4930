# SPDX-License-Identifier: Apache-2.0
"""What the store holds of machines that become nodes, and of the certificates they ask for while they are."""

import msgspec


class JoinUse(msgspec.Struct, omit_defaults=True, frozen=True):
    """What a token was used for: `request` is the fingerprint of the one request that may be made again."""

    request: str
    node: str
    user: str
    certificate: str


class JoinTokenRecord(msgspec.Struct, omit_defaults=True, frozen=True):
    """A token that lets one machine join (`v/token/<id>`); the lease of its key ends it. `node` is "" when any new name will do."""

    user_id: str
    expires_at: float
    node: str = ""
    used: JoinUse | None = None
    v: int = 1


class CertificateRequest(msgspec.Struct, omit_defaults=True, frozen=True):
    """A node's wish for its next certificate (`v/out/<node>/csr`); `csr` is PEM."""

    csr: str
    v: int = 1


class IssuedCertificate(msgspec.Struct, omit_defaults=True, frozen=True):
    """The certificate that a node asked for (`in/<node>/certificate`), PEM. `refused` says why there is none."""

    certificate: str = ""
    refused: str = ""
    request: str = ""  # SHA-256 of the request it answers
    at: float = 0.0
    v: int = 1
