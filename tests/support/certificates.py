# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made by the service's own authority."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from zun.base.private_file import replace_private
from zun.model.subjects import CONTROL, new_node_user, node_host
from zun.nodestreams.credentials import TlsFiles
from zun.pki import pem
from zun.pki.authority import Authority

_AGE = timedelta(days=10)


class TestAuthority:
    """An authority and the certificates it gave, each in a folder of its own."""

    __test__ = False

    def __init__(self, directory: Path, title: str = "tests") -> None:
        self._directory = directory
        # Older than the certificates it gives, so that it can give some that have expired.
        self.authority = Authority.create(title, datetime.now(UTC) - _AGE)

    def control(self, name: str = "control", *, lifetime: timedelta | None = None) -> TlsFiles:
        """An API server's or controller's."""
        return self.issue(name, CONTROL, [], lifetime=lifetime)

    def node(self, node: str, *, lifetime: timedelta | None = None) -> TlsFiles:
        """A node's."""
        return self.issue(node, new_node_user(node), [node_host(node)], lifetime=lifetime)

    def install_control(self, state_dir: Path) -> None:
        """Put an API server's or controller's where it looks for it."""
        self._install(self.control(), state_dir, {"control.pem": ("certificate",), "control.key": ("key",)})

    def install_node(self, state_dir: Path, node: str) -> None:
        """Put a node's where its agent looks for it."""
        self._install(self.node(node), state_dir, {"node.pem": ("key", "certificate")})

    def _install(self, files: TlsFiles, state_dir: Path, places: dict[str, tuple[str, ...]]) -> None:
        for name, parts in {"ca.pem": ("authority",), **places}.items():
            replace_private(state_dir / name, b"".join(getattr(files, part).read_bytes() for part in parts))

    def issue(self, folder: str, common_name: str, hosts: list[str], *, lifetime: timedelta | None = None) -> TlsFiles:
        """Any; one with a negative lifetime has expired. Overwrites what is there."""
        files = TlsFiles(*(self._directory / folder / name for name in ("ca.pem", "own.pem", "own.key")))
        key = pem.new_key()
        now = datetime.now(UTC)
        made_at = now if lifetime is None else now + lifetime - timedelta(days=1)
        certificate = self.authority.issue(key.public_key(), common_name, hosts=hosts, now=made_at, days=1)
        replace_private(files.authority, self.authority.certificate_pem.encode())
        replace_private(files.key, pem.key_to_pem(key))
        replace_private(files.certificate, pem.certificate_to_pem(certificate))
        return files
