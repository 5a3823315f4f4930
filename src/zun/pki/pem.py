# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates as PEM text: made, read, and checked for being of the one kind that is used here (ECDSA P-256)."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from zun.model.errors import Invalid

PrivateKey = ec.EllipticCurvePrivateKey

MAX_BYTES = 64 * 1024
"""No PEM text here is longer; longer ones are not looked at."""


def new_key() -> PrivateKey:
    """A new private key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_to_pem(key: PrivateKey) -> bytes:
    """A private key as it lies in a file (PKCS 8, not encrypted)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_from_pem(pem: bytes, where: str) -> PrivateKey:
    """The private key again. `where` names the file in the error. Raises `Invalid`."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Invalid(f"{where} holds no private key that can be read; restore it from your backup.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Invalid(f"{where} holds a key of another kind than ECDSA P-256; let `zund ca` make it.")
    return key


def certificate_to_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as it lies in a file."""
    return certificate.public_bytes(Encoding.PEM)


def certificate_from_pem(pem: bytes, where: str) -> x509.Certificate:
    """The first certificate of a PEM text. `where` names it in the error. Raises `Invalid`."""
    if len(pem) > MAX_BYTES:
        raise Invalid(f"{where} is too long for a certificate.")
    try:
        return x509.load_pem_x509_certificate(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid(f"{where} holds no certificate that can be read.") from error


def fingerprint(certificate: x509.Certificate) -> str:
    """The SHA-256 of a certificate, in hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def public_bytes(key: CertificatePublicKeyTypes) -> bytes:
    """A public key as one exact text (DER), for comparing."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
