# SPDX-License-Identifier: Apache-2.0
"""Our certificate, key and authority as they lie on disk; taken up anew when they are replaced, if they fit together."""

import logging
import threading
from pathlib import Path

import msgspec

from zun.base.clock import Clock
from zun.base.private_file import is_private
from zun.base.watched_file import WatchedFile
from zun.model.errors import Invalid, Unavailable, ZunError
from zun.pki import pem
from zun.pki.facts import facts_of, read_file

_LOG = logging.getLogger(__name__)


class TlsFiles(msgspec.Struct, frozen=True):
    """Where they lie (PEM)."""

    authority: Path
    certificate: Path
    key: Path


class Identity(msgspec.Struct, frozen=True):
    """What they hold. `expires_at` is in seconds since the epoch."""

    authority: bytes
    certificate: bytes
    key: bytes
    expires_at: float

    def __repr__(self) -> str:
        """Without the key, so that no log line can hold it."""
        return f"Identity(expires_at={self.expires_at})"


class Credentials:
    """An identity that follows its files. `generation` grows each time another one is taken up.

    May be asked from several threads: a server's handshakes do.
    """

    def __init__(self, files: TlsFiles, clock: Clock) -> None:
        """Raises `NotFound`, `Unavailable` (a file cannot be read), `Invalid` (it holds something else)."""
        self.files = files
        self._clock = clock
        self._lock = threading.Lock()
        self._watched = [WatchedFile(path, clock) for path in (files.authority, files.certificate, files.key)]
        self._identity = _load(files)
        self.generation = 0

    def current(self) -> Identity:
        """The identity now. New files that do not fit together are not taken up: they may be half of a change."""
        with self._lock:
            if any([watched.changed() for watched in self._watched]):  # noqa: C419 - all of them are to look
                self._take_up()
            return self._identity

    def valid(self) -> Identity:
        """The identity now. Raises `Unavailable` when its time is over."""
        identity = self.current()
        if identity.expires_at <= self._clock.now():
            raise Unavailable(
                f"The certificate {self.files.certificate} of this machine has expired; have a new one made."
            )
        return identity

    def _take_up(self) -> None:
        try:
            found = _load(self.files)
        except ZunError as error:
            _LOG.warning("The changed certificate is not used: %s", error)
            return
        if found != self._identity:
            self._identity = found
            self.generation += 1
            _LOG.info("A new certificate is used: %s", self.files.certificate)


def _load(files: TlsFiles) -> Identity:
    authority, certificate, key = (read_file(path) for path in (files.authority, files.certificate, files.key))
    pem.certificate_from_pem(authority, str(files.authority))
    read = pem.certificate_from_pem(certificate, str(files.certificate))
    private = pem.key_from_pem(key, str(files.key))
    if not is_private(files.key):
        raise Invalid(f"{files.key} can be read by others; take that away (chmod 600) and think about who may have it.")
    if pem.public_bytes(private.public_key()) != pem.public_bytes(read.public_key()):
        raise Invalid(f"The key {files.key} belongs to another certificate than {files.certificate}.")
    # Written anew: a node's key and certificate lie in one file.
    return Identity(authority, pem.certificate_to_pem(read), pem.key_to_pem(private), facts_of(read).not_after)
