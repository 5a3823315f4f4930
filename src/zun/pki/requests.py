# SPDX-License-Identifier: Apache-2.0
"""Certificate signing requests: who makes one proves that it has the private key; all else in it is a wish, and ignored.

So a request with other names, for a CA, or for a year 9999 yields the same certificate as a plain one.
"""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from zun.model.errors import Invalid
from zun.pki.pem import public_bytes

MAX_CHARACTERS = 4096


def new_request(key: ec.EllipticCurvePrivateKey, common_name: str) -> str:
    """A request (PEM) for the key's certificate. The name is for people who look at it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


class SigningRequest:
    """A request that was found good: its key, and the common name it asks for ("" when it asks for none or for several)."""

    def __init__(self, pem: str) -> None:
        """Read and check it. Raises `Invalid` for what is no request, is signed by another key, or has a key of another kind."""
        if len(pem) > MAX_CHARACTERS:
            raise Invalid(f"A certificate request may have at most {MAX_CHARACTERS} characters.")
        try:
            request = x509.load_pem_x509_csr(pem.encode())
            key = request.public_key()
            if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
                raise Invalid("A certificate request must have a key of the kind ECDSA P-256.")
            proven = request.is_signature_valid
            names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise Invalid("The certificate request cannot be read.") from error
        if not proven:
            raise Invalid("The certificate request is not signed by its own key.")
        self.key = key
        self.common_name = str(names[0].value) if len(names) == 1 else ""

    @property
    def key_bytes(self) -> bytes:
        """The key as one exact text, for comparing."""
        return public_bytes(self.key)
