# SPDX-License-Identifier: Apache-2.0
"""The token file: who may come in, by the SHA-256 of their tokens.

The file never holds a token, so a copy of it opens nothing. Changing it is one locked read-change-replace; a service that reads it
notices by itself. A file that others may read or write is refused, not tolerated.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from zun.base.ids import new_token
from zun.base.private_file import give_to_owner_of, is_private, replace_private
from zun.model.errors import Conflict, Internal, Invalid, NotFound

ADMIN_ROLES = ("admin", "member", "reader")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")


class TokenEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One token: its hash, and who comes in with it. `expires_at` in seconds since the epoch, None: never."""

    token_sha256: str
    user_id: str
    project_id: str
    roles: tuple[str, ...]
    user_name: str = ""
    project_name: str = ""
    expires_at: float | None = None


class User(msgspec.Struct, frozen=True):
    """A user as a list shows it: no token, no hash."""

    name: str
    project: str
    roles: tuple[str, ...]
    tokens: int
    expires_at: float | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: int
    tokens: tuple[TokenEntry, ...]


def hash_of(token: str) -> str:
    """What the file knows of a token. Tokens are random, so a plain hash tells nothing of them."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def read(path: Path) -> tuple[TokenEntry, ...]:
    """All entries. Raises `NotFound` without a file; `Invalid`, saying what to do, for one that is open to others or damaged."""
    try:
        private = is_private(path)
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"There is no token file {path}; starting the service makes one.") from error
    except OSError as error:
        raise Invalid(f"The token file {path} cannot be read: {error.strerror}.") from error
    if not private:
        raise Invalid(f"The token file {path} is open to other users; make it private: chmod 600 {path}")
    try:
        return msgspec.json.decode(raw, type=_File).tokens
    except msgspec.DecodeError as error:
        raise Invalid(f"The token file {path} is damaged ({error}); restore it, or remove it to begin anew.") from error


def add_user(
    path: Path,
    name: str,
    *,
    project: str | None = None,
    roles: Iterable[str] = ("member",),
    expires_at: float | None = None,
) -> str:
    """Let somebody in and return the token, which is stored nowhere in clear. Makes the file when there is none.

    `project` None: a project of that user's name. The names are also the ids. Adding a known user again gives one more token.
    Raises `Invalid` for bad names, `Conflict` when the user is known with another project or other roles.
    """
    project = name if project is None else project
    wanted = tuple(sorted({role.lower() for role in roles}))
    for what, text in (("user", name), ("project", project), *(("role", role) for role in wanted)):
        if not _NAME.fullmatch(text):
            raise Invalid(f"{text!r} is no {what} name: 1 to 64 letters, digits, '_', '.', '@' or '-'.")
    token = new_token()
    entry = TokenEntry(
        token_sha256=hash_of(token),
        user_id=name,
        project_id=project,
        roles=wanted,
        user_name=name,
        project_name=project,
        expires_at=expires_at,
    )

    def added(entries: tuple[TokenEntry, ...]) -> tuple[TokenEntry, ...]:
        for old in entries:
            if old.user_id == name and (old.project_id, old.roles) != (project, wanted):
                raise Conflict(
                    f"User {name} is there already in project {old.project_id} with the roles {', '.join(old.roles)}; "
                    "remove it first, or ask for the same."
                )
        return (*entries, entry)

    _change(path, added)
    return token


def remove_user(path: Path, name: str) -> None:
    """Shut somebody out: all tokens of that user. Raises `NotFound`."""

    def removed(entries: tuple[TokenEntry, ...]) -> tuple[TokenEntry, ...]:
        left = tuple(entry for entry in entries if entry.user_id != name)
        if len(left) == len(entries):
            raise NotFound(f"There is no user {name}; list the users to see their names.")
        return left

    _change(path, removed)


def revoke(path: Path, token: str) -> None:
    """Take one token away; an unknown one is no error."""
    gone = hash_of(token)
    _change(path, lambda entries: tuple(entry for entry in entries if entry.token_sha256 != gone))


def users(path: Path) -> list[User]:
    """Everybody who may come in, by name. Raises as `read`."""
    found: dict[str, User] = {}
    for entry in read(path):
        before = found[entry.user_id].tokens if entry.user_id in found else 0
        found[entry.user_id] = User(entry.user_id, entry.project_id, entry.roles, before + 1, entry.expires_at)
    return sorted(found.values(), key=lambda user: user.name)


def _change(path: Path, change: Callable[[tuple[TokenEntry, ...]], tuple[TokenEntry, ...]]) -> None:
    try:
        with _locked(path):
            entries = read(path) if path.exists() else ()
            content = _File(v=1, tokens=change(entries))
            replace_private(path, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
    except OSError as error:
        raise Internal(f"The token file {path} cannot be written: {error.strerror}.") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time, also across processes; the lock ends with its holder."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        give_to_owner_of(path.parent, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
