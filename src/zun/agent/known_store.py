# SPDX-License-Identifier: Apache-2.0
"""Which store this node works for, and what it has that this store does not know (docs/decisions/0042-a-restored-store-is-another-store.md).

A store that was restored knows less than the node did. What a node has that is in no inbox is then not superfluous, but forgotten: it is
kept as it is and told to operators, who alone remove it.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

import msgspec

from zun.agent.blocking import RunBlocking, in_thread
from zun.agent.found import owner_of
from zun.base.private_file import replace_private
from zun.drivers.runtime.types import SandboxSeen, Seen
from zun.model.attachments import sandbox_key
from zun.model.errors import Internal, Unavailable
from zun.model.records import Inbox
from zun.store.nodelink import NodeLink

_log = logging.getLogger(__name__)

MOST_NAMED = 20
"""So many kept containers are told by name."""


class Kept(msgspec.Struct, frozen=True):
    """An object that no inbox knew when the node met a restored store. `uuid` is that of its container or capsule; `since`: seconds since
    the epoch."""

    uuid: str
    generation: int
    since: float


class _File(msgspec.Struct):
    """As it lies in `<state-dir>/store.json`; `kept` by the engine's id."""

    id: str = ""
    revision: int = 0
    kept: dict[str, Kept] = {}


class KnownStore:
    """The memory of one node. Raises `Internal` when its file is damaged: guessing could cost containers."""

    def __init__(self, state_dir: Path, link: NodeLink, *, run_blocking: RunBlocking = in_thread) -> None:
        self._path = state_dir / "store.json"
        self._link = link
        self._run_blocking = run_blocking
        self._file = _read(self._path)
        self._is_other = False
        self._replaced = asyncio.Event()

    async def meet(self) -> None:
        """Look which store is there. Before anything is read from it. Raises `Unavailable`, `Timeout`."""
        mark = await self._link.store()
        self._is_other = bool(self._file.id) and (mark.id != self._file.id or mark.revision < self._file.revision)
        if self._is_other:
            _log.warning("the store is another one than before, or was put back to an earlier state")
        self._file.id, self._file.revision = mark.id, mark.revision

    async def keep(
        self,
        objects: Iterable[Seen | SandboxSeen],
        inbox: Mapping[str, Inbox | None],
        *,
        newer_than: float | None,
        now: float,
    ) -> None:
        """Set aside for ever what the store met does not know, and is not known to be superfluous. Before anything is removed.

        `newer_than`: what was made later than that is newer than all that the store has heard of this node. Raises `Unavailable` when the disk
        does not take it.
        """
        there = {one.handle: one for one in objects}
        kept = {handle: one for handle, one in self._file.kept.items() if handle in there}
        for seen in forgotten(there.values(), inbox, is_other=self._is_other, newer_than=newer_than):
            if seen.handle not in kept:
                uuid = owner_of(seen)
                _log.warning("the store does not know %s, of %s; it is left as it is", seen.handle, uuid)
                kept[seen.handle] = Kept(uuid, seen.generation, now)
        self._file.kept = kept
        await self._write()

    def keeps(self, handle: str) -> bool:
        """Whether an object was set aside."""
        return handle in self._file.kept

    @property
    def kept(self) -> set[str]:
        """The containers and capsules that were set aside."""
        return {one.uuid for one in self._file.kept.values()}

    @property
    def sandboxes(self) -> set[str]:
        """The keys under which the networks of those are known."""
        return {sandbox_key(one.uuid, one.generation) for one in self._file.kept.values()}

    async def there_are(self, handles: set[str]) -> None:
        """The engine has these objects now; of those that were set aside some may have been removed by somebody. Raises `Unavailable`."""
        if not self._file.kept.keys() <= handles:
            self._file.kept = {handle: one for handle, one in self._file.kept.items() if handle in handles}
            await self._write()

    async def heard_of(self, revision: int) -> None:
        """The store has come so far. Raises `Unavailable`."""
        if revision > self._file.revision:
            self._file.revision = revision
            await self._write()

    async def confirm(self) -> None:
        """Return when the store is the one that was met; else never, and `run` ends. Before what nobody asked to remove is removed.

        Raises `Unavailable`, `Timeout`.
        """
        heard = self._file.revision  # before asking: more may be heard of while the answer is under way
        mark = await self._link.store()
        if mark.id == self._file.id and mark.revision >= heard:
            return
        self._replaced.set()
        await asyncio.Event().wait()

    async def run(self) -> NoReturn:
        """Wait until another store is in the place of this one; then raise `Internal`: the agent must begin anew."""
        await self._replaced.wait()
        raise Internal(
            "A backup was restored into the store while this node worked for it; start the agent again, and it reads everything anew."
        )

    async def _write(self) -> None:
        content = msgspec.json.encode(self._file)
        try:
            await self._run_blocking(lambda: replace_private(self._path, content))
        except OSError as error:
            raise Unavailable(
                f"The node cannot write {self._path} ({error.strerror}). Make room on it or repair its disk."
            ) from error


def forgotten(
    objects: Iterable[Seen | SandboxSeen],
    inbox: Mapping[str, Inbox | None],
    *,
    is_other: bool,
    newer_than: float | None,
) -> list[Seen | SandboxSeen]:
    """The objects that the store does not know any more, if it ever did. An object of a generation that is yet to come is one, too."""
    return [
        seen
        for seen in objects
        if not _known(seen, inbox)
        and (is_other or (newer_than is not None and seen.created_at is not None and seen.created_at > newer_than))
    ]


def _known(seen: Seen | SandboxSeen, inbox: Mapping[str, Inbox | None]) -> bool:
    wanted = inbox.get(owner_of(seen))
    return wanted is not None and seen.generation <= wanted.generation


def _read(path: Path) -> _File:
    if not path.exists():
        return _File()
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except msgspec.DecodeError as error:
        raise Internal(
            f"{path} is damaged. Restore it from a backup; if there is none, remove it, and the node takes the store for the one it always had."
        ) from error
