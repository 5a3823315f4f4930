# SPDX-License-Identifier: Apache-2.0
"""Certificates of nodes: at joining, and again before one ends."""

import hashlib

from zun.model import subjects
from zun.model.errors import Invalid
from zun.pki import pem
from zun.pki.authority import Authority, utc
from zun.pki.requests import SigningRequest


class NodeCertifier:
    """The authority as far as nodes are concerned. `days`: how long a certificate lives; `also`: who else a node is to trust (PEM)."""

    def __init__(self, authority: Authority, days: int, *, also: str = "") -> None:
        self._authority = authority
        self._days = days
        self._also = also

    @property
    def trusted_pem(self) -> str:
        """Whom a node is to trust: the authority's certificate first."""
        return self._authority.certificate_pem + self._also

    @property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of the authority's certificate."""
        return self._authority.fingerprint

    def key_of(self, csr: str) -> str:
        """What stands for the request's key: the SHA-256 (hex) of it. Raises `Invalid` for a bad request."""
        return hashlib.sha256(SigningRequest(csr).key_bytes).hexdigest()

    def certify(self, csr: str, *, node: str, user: str, now: float) -> str:
        """A certificate (PEM) for the request's key, whatever else the request asks for. Raises `Invalid` for a bad request."""
        return self._certificate(SigningRequest(csr), node, user, now)

    def renew(self, csr: str, *, node: str, user: str, now: float) -> str:
        """The node's next certificate. Raises `Invalid` for a bad request, and for one that names another than this user."""
        request = SigningRequest(csr)
        if request.common_name != user:
            raise Invalid(
                f"The request is for {request.common_name[:80]!r}; node {node} gets certificates as {user} only."
            )
        return self._certificate(request, node, user, now)

    def _certificate(self, request: SigningRequest, node: str, user: str, now: float) -> str:
        certificate = self._authority.issue(
            request.key, user, hosts=[subjects.node_host(node)], now=utc(now), days=self._days
        )
        return pem.certificate_to_pem(certificate).decode()
