# SPDX-License-Identifier: Apache-2.0
"""Who asks for a certificate must have the key; all else in a request counts for nothing."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from zun.model.errors import Invalid
from zun.pki import pem
from zun.pki.requests import MAX_CHARACTERS, SigningRequest, new_request


def test_a_request_has_the_key_and_the_name_that_were_put_in() -> None:
    key = pem.new_key()
    request = SigningRequest(new_request(key, "node-n1@00000001"))
    assert request.common_name == "node-n1@00000001"
    assert request.key_bytes == pem.public_bytes(key.public_key())


def test_a_request_with_another_keys_signature_is_refused() -> None:
    while True:  # of the same length, so that nothing else is wrong
        mine, theirs = (_read(new_request(pem.new_key(), "x")) for _ in range(2))
        if len(mine.signature) == len(theirs.signature):
            break
    forged = mine.public_bytes(Encoding.DER).replace(mine.signature, theirs.signature)
    with pytest.raises(Invalid, match="not signed by its own key"):
        SigningRequest(_pem(forged))


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(public_exponent=65537, key_size=2048), ec.generate_private_key(ec.SECP384R1())]
)
def test_other_kinds_of_keys_are_refused(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    built = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    with pytest.raises(Invalid, match="ECDSA P-256"):
        SigningRequest(built.public_bytes(Encoding.PEM).decode())


@pytest.mark.parametrize(
    "text", ["", "nonsense", "x" * (MAX_CHARACTERS + 1), "\ud800", "-----BEGIN CERTIFICATE REQUEST-----"]
)
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        SigningRequest(text)


def test_a_request_with_two_names_asks_for_none() -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text) for text in ("node-n1@00000001", "root")])
    built = x509.CertificateSigningRequestBuilder().subject_name(name).sign(pem.new_key(), hashes.SHA256())
    assert SigningRequest(built.public_bytes(Encoding.PEM).decode()).common_name == ""


def _read(text: str) -> x509.CertificateSigningRequest:
    return x509.load_pem_x509_csr(text.encode())


def _pem(der: bytes) -> str:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"
