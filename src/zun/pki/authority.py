# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of our own: it says of a key whose it is. It lives with the control plane and nowhere else.

What a certificate says is decided here alone, never by who asks: subject, names, use and life.
"""

import ipaddress
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from zun.model.errors import Invalid, Unavailable
from zun.pki import pem

BACKDATED = timedelta(minutes=5)
"""A certificate is valid from so long before it was made: clocks differ. Who differs more has to set his clock."""

AUTHORITY_DAYS = 3650
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")


class Authority:
    """A certificate with the private key to it, that signs others."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        """Raises `Invalid` when the two do not belong together or the certificate is no authority's."""
        if not _is_authority(certificate):
            raise Invalid("The certificate of the authority is no authority's; restore ca.pem from your backup.")
        if pem.public_bytes(certificate.public_key()) != pem.public_bytes(key.public_key()):
            raise Invalid(
                "The authority's key belongs to another certificate; restore ca.pem and ca.key from one backup."
            )
        self.certificate = certificate
        self.key = key

    @classmethod
    def create(cls, title: str, now: datetime) -> "Authority":
        """A new authority, good for ten years. `title` is for people; a random number makes it different from all others."""
        key = pem.new_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{title} {secrets.token_hex(4)}")])
        builder = (
            _begun(name, name, key.public_key(), now, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @property
    def certificate_pem(self) -> str:
        """The authority's own certificate."""
        return pem.certificate_to_pem(self.certificate).decode()

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of its certificate, in hex: what a token names it by."""
        return pem.fingerprint(self.certificate)

    def issue(
        self,
        key: ec.EllipticCurvePublicKey,
        common_name: str,
        *,
        hosts: Sequence[str] = (),
        unit: str = "",
        now: datetime,
        days: int,
    ) -> x509.Certificate:
        """A certificate for clients and servers, at those host names and addresses. Never one of an authority.

        Ends with the authority's at the latest. `unit` is a remark for people. Raises `Invalid` for a host that is none or a name
        that is too long, `Unavailable` when the authority's own certificate is not valid now.
        """
        self._check_time(now)
        try:
            attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
            if unit:
                attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
            subject = x509.Name(attributes)
        except ValueError as error:
            raise Invalid(f"{common_name!r} cannot be in a certificate ({error}); take a shorter name.") from error
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            _begun(self.certificate.subject, subject, key, now, days, latest=self.certificate.not_valid_after_utc)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(issuer, critical=False)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(map(_general_name, hosts)), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def _check_time(self, now: datetime) -> None:
        if not self.certificate.not_valid_before_utc <= now < self.certificate.not_valid_after_utc:
            raise Unavailable(
                f"The authority's certificate is valid from {self.certificate.not_valid_before_utc:%Y-%m-%d %H:%M} to "
                f"{self.certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC and not now; check this machine's clock."
            )


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether that authority signed it."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return _is_authority(authority)


def utc(seconds: float) -> datetime:
    """Seconds since the epoch as certificates want them."""
    return datetime.fromtimestamp(seconds, UTC)


def _begun(
    issuer: x509.Name,
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
    *,
    latest: datetime | None = None,
) -> x509.CertificateBuilder:
    end = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(end if latest is None else min(end, latest))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if _HOST.fullmatch(host) is None:
        raise Invalid(f"{host[:80]!r} is neither a host name nor an address; give one without port or scheme.")
    return x509.DNSName(host)
