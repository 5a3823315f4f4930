# SPDX-License-Identifier: Apache-2.0
"""The first user, and the file by which zunctl finds the local service and its token without being told."""

from pathlib import Path

import msgspec

from zun.base.private_file import is_private, replace_private
from zun.drivers.identity.static import tokens
from zun.model.errors import Internal

FIRST_USER = "admin"


class LocalAccess(msgspec.Struct, frozen=True):
    """What `local.json` says. The token is in clear: the file is private to its owner."""

    url: str
    token: str
    project_id: str

    def __repr__(self) -> str:
        """Without the token, so that no log line can hold it."""
        return f"LocalAccess(url={self.url!r}, project_id={self.project_id!r})"


def ensure_local_access(tokens_path: Path, local_path: Path, url: str) -> LocalAccess:
    """Make sure that `local_path` lets its reader in at `url`, as the user `admin` unless it says another one already.

    The first call makes the token file with that one user. A `local_path` that is missing, open to others or holds a token that
    was taken away gets a new token of `admin`. Raises `Invalid` for an unusable token file, `Internal` when a file cannot be written.
    """
    access = _still_good(tokens_path, local_path)
    if access is None:
        token = tokens.add_user(tokens_path, FIRST_USER, roles=tokens.ADMIN_ROLES)
        access = LocalAccess(url=url, token=token, project_id=FIRST_USER)
    elif access.url == url:
        return access
    access = msgspec.structs.replace(access, url=url)
    try:
        replace_private(local_path, msgspec.json.encode(access) + b"\n")
    except OSError as error:
        raise Internal(f"{local_path} cannot be written: {error.strerror}.") from error
    return access


def _still_good(tokens_path: Path, local_path: Path) -> LocalAccess | None:
    """What the file says, when its token is good. A token that others could read is taken away."""
    if not tokens_path.exists() or not local_path.exists():
        return None
    try:
        access = msgspec.json.decode(local_path.read_bytes(), type=LocalAccess)
    except msgspec.DecodeError:
        return None
    if not is_private(local_path):
        tokens.revoke(tokens_path, access.token)
        return None
    wanted = tokens.hash_of(access.token)
    return access if any(entry.token_sha256 == wanted for entry in tokens.read(tokens_path)) else None
