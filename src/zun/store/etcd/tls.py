# SPDX-License-Identifier: Apache-2.0
"""The certificate files of a connection to etcd: read, checked, and looked at again when they change."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from zun.base.clock import Clock
from zun.base.private_file import is_private
from zun.base.watched_file import WatchedFile
from zun.model.errors import Invalid
from zun.store.options import StoreOptions


@dataclass(frozen=True)
class Credentials:
    """What one connection uses: PEM bytes, the files they came from, and the name in the client certificate (if there is one)."""

    ca: bytes
    cert: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    cert_file: Path | None = None
    key_file: Path | None = None
    user: str = ""


class TlsFiles:
    """The files an operator named. They may be replaced at any time: `changed` tells, `load` reads what is there now."""

    def __init__(self, options: StoreOptions, clock: Clock) -> None:
        self.ca_file = Path(options.ca_file)
        self.cert_file = Path(options.cert_file) if options.cert_file else None
        self.key_file = Path(options.key_file) if options.key_file else None
        self._clock = clock
        self._watched = [WatchedFile(file, clock) for file in (self.ca_file, self.cert_file, self.key_file)]

    def changed(self) -> bool:
        """Whether a file is another one than when this was last true (looked at once a second at most)."""
        asked = [file.changed() for file in self._watched]  # all of them, so that one rotation is told once
        return any(asked)

    def load(self) -> Credentials:
        """What the files hold now. Raises `Invalid` when they cannot be read, do not belong together, or are out of date."""
        ca = _read(self.ca_file)
        self._check_authorities(_certificates(ca, self.ca_file))
        if self.cert_file is None or self.key_file is None:
            return Credentials(ca)
        cert, key = _read(self.cert_file), _read(self.key_file)
        if not is_private(self.key_file):
            raise Invalid(
                f"{self.key_file} can be read by others; take that away (chmod 600), and think about who may have it."
            )
        mine = _certificates(cert, self.cert_file)[0]
        self._check_dates(mine, self.cert_file)
        _check_key(key, self.key_file, mine, self.cert_file)
        return Credentials(ca, cert, key, self.cert_file, self.key_file, _common_name(mine))

    def _check_authorities(self, authorities: list[x509.Certificate]) -> None:
        """One that is in date is enough: while authorities change, the file holds the old and the new."""
        wrong: Invalid | None = None
        for authority in authorities:
            try:
                self._check_dates(authority, self.ca_file)
                return
            except Invalid as error:
                wrong = wrong or error
        if wrong is not None:
            raise wrong

    def _check_dates(self, certificate: x509.Certificate, file: Path) -> None:
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now < begins:
            raise Invalid(
                f"The certificate in {file} is valid from {begins:%Y-%m-%d %H:%M} UTC on, but this machine's clock says "
                f"{now:%Y-%m-%d %H:%M} UTC; set the clocks (of this machine or of the one that issued it)."
            )
        if now >= ends:
            raise Invalid(f"The certificate in {file} ended on {ends:%Y-%m-%d %H:%M} UTC; issue a new one.")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Invalid(f"{file} cannot be read ({error.strerror}); check the path and who may read it.") from error


def _certificates(pem: bytes, file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise Invalid(f"{file} holds no certificate in PEM form; check which file is meant.") from error


def _check_key(pem: bytes, file: Path, certificate: x509.Certificate, cert_file: Path) -> None:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise Invalid(
            f"{file} holds no private key in PEM form without password; check which file is meant."
        ) from error
    if key.public_key() != certificate.public_key():
        raise Invalid(
            f"The private key in {file} is not that of the certificate in {cert_file}; use files that belong together."
        )


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""
