# SPDX-License-Identifier: Apache-2.0
"""What a certificate says, for people and for who watches over its end."""

from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from zun.model.errors import NotFound, Unavailable
from zun.pki import pem


class CertificateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate. Times are seconds since the epoch; `hosts` are the names and addresses its holder may serve under."""

    path: str
    common_name: str
    issuer: str
    hosts: tuple[str, ...]
    not_before: float
    not_after: float
    fingerprint: str  # SHA-256, hex
    serial: str  # hex

    def valid(self, now: float) -> bool:
        """Whether it is valid at that time."""
        return self.not_before <= now < self.not_after

    def due(self, now: float) -> bool:
        """Whether two thirds of its life are over: time to have a new one."""
        return now >= self.not_before + (self.not_after - self.not_before) * 2 / 3


def certificate_facts(path: Path) -> CertificateFacts:
    """What the first certificate in a PEM file says. Raises `NotFound`, `Unavailable` (it cannot be read), `Invalid` (it is none)."""
    return facts_of(pem.certificate_from_pem(read_file(path), str(path)), str(path))


def facts_of(certificate: x509.Certificate, path: str = "") -> CertificateFacts:
    """What a certificate says."""
    return CertificateFacts(
        path=path,
        common_name=common_name(certificate.subject),
        issuer=common_name(certificate.issuer),
        hosts=hosts_of(certificate),
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        fingerprint=pem.fingerprint(certificate),
        serial=f"{certificate.serial_number:x}",
    )


def common_name(name: x509.Name) -> str:
    """The common name, "" when there is none or more than one."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The host names and addresses of a certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    )


def read_file(path: Path) -> bytes:
    """A file's bytes, at most as many as a certificate or key may have. Raises `NotFound`, `Unavailable`."""
    try:
        with path.open("rb") as file:
            return file.read(pem.MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.") from error
    except OSError as error:
        raise Unavailable(f"{path} cannot be read ({error.strerror}); check its owner and mode.") from error
