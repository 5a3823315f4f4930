# SPDX-License-Identifier: Apache-2.0
"""What a node checks of a certificate that it is given, before it uses it."""

from zun.model import subjects
from zun.model.errors import Invalid
from zun.pki import pem
from zun.pki.authority import is_issued_by
from zun.pki.facts import facts_of


def check_granted(certificate_pem: str, trusted_pem: str, *, key: pem.PrivateKey, node: str, now: float) -> None:
    """Raises `Invalid`, with what to do, unless it is this node's, for this key, signed by the authority, and valid now."""
    certificate = pem.certificate_from_pem(certificate_pem.encode(), "The answer")
    authority = pem.certificate_from_pem(trusted_pem.encode(), "The authority's file")
    if not is_issued_by(certificate, authority):
        raise Invalid(
            "The new certificate is not signed by this installation's authority; join again with a new token."
        )
    if pem.public_bytes(certificate.public_key()) != pem.public_bytes(key.public_key()):
        raise Invalid(
            "The new certificate is for another key; remove node-next.key from the state directory and try again."
        )
    facts = facts_of(certificate)
    if subjects.node_of_user(facts.common_name) != node or facts.hosts != (subjects.node_host(node),):
        raise Invalid(
            f"The new certificate is for {facts.common_name[:80]!r}, not for node {node}; join again with a new token."
        )
    if not facts.valid(now):
        raise Invalid("The new certificate is not valid by this machine's clock; set the clock, then try again.")


def fingerprint_of(trusted_pem: str) -> str:
    """The SHA-256 (hex) of the authority's certificate, the first of those. Raises `Invalid`."""
    return pem.fingerprint(pem.certificate_from_pem(trusted_pem.encode(), "The authority's certificate"))
