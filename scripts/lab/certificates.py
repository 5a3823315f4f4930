# SPDX-License-Identifier: Apache-2.0
"""The cluster's certificate authority and what it signs, made with openssl into one folder per name."""

import secrets
from pathlib import Path

from lab.network import command

_DAYS = "30"
_CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Authority:
    """Keys and certificates below one directory, private to its owner; what is there already is kept."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.certificate = directory / "ca.pem"
        self._key = directory / "ca.key"

    def prepare(self) -> None:
        """Have the authority itself."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.certificate.exists():
            command(
                *("openssl", "req", "-x509", *_CURVE, "-days", _DAYS, "-subj", "/CN=zun-cluster"),
                *("-keyout", str(self._key), "-out", str(self.certificate)),
            )

    def issue(self, common_name: str, hosts: list[str]) -> tuple[Path, Path]:
        """Give certificate and key for a server and client of that name, valid for these names and addresses."""
        certificate, key = self._directory / f"{common_name}.pem", self._directory / f"{common_name}.key"
        if not certificate.exists():
            names = ",".join(("IP:" if host[0].isdigit() else "DNS:") + host for host in hosts)
            request = self._directory / f"{common_name}.csr"
            extensions = self._directory / f"{common_name}.ext"
            extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
            command(
                *("openssl", "req", *_CURVE, "-subj", f"/CN={common_name}"),
                *("-keyout", str(key), "-out", str(request)),
            )
            command(
                *("openssl", "x509", "-req", "-days", _DAYS, "-in", str(request), "-extfile", str(extensions)),
                *("-CA", str(self.certificate), "-CAkey", str(self._key), "-set_serial", str(secrets.randbits(63))),
                *("-out", str(certificate)),
            )
        return certificate, key
