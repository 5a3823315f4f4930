# SPDX-License-Identifier: Apache-2.0
"""The packet filter as it is to be, and the kernel's made equal to it: a little at a time, or whole when the kernel's is another."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from zun.cni.firewall import ruleset
from zun.cni.firewall.ruleset import Elements, Place
from zun.cni.firewall.seen import is_whole
from zun.model.errors import Internal, Timeout

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_UPLINKS: Place = ("inet", "uplinks")


class Filter(Protocol):
    """What `nftables.Nftables` is."""

    def run(self, text: str) -> None:
        """Do all of it or nothing. Raises `Internal`."""

    def listed(self, family: str, table: str) -> list[dict[str, Any]] | None:
        """A table, or None."""


class Firewall:
    """What sandboxes may. Used from one event loop; the filter works in a thread of its own, one change after the other.

    `seconds`: how long one change may take. All that changes raises `Internal` when the kernel refuses, `Timeout`.
    """

    def __init__(self, kernel: Filter, *, host_access: bool, seconds: float) -> None:
        self._kernel = kernel
        self._host_access = host_access
        self._seconds = seconds
        self._held: dict[str, Elements] = {}
        self._counts: Counter[tuple[Place, str]] = Counter()
        self._uplinks: frozenset[str] = frozenset()
        self._in_step = False  # whether the kernel's tables hold what is held here, as far as is known
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="zun-cni-filter")

    def close(self) -> None:
        """End the thread; rules stay."""
        self._thread.shutdown(wait=True)

    async def replace(self, sandboxes: Iterable[tuple[str, Elements]], uplinks: Iterable[str]) -> None:
        """These sandboxes and no others, whatever there was before, at one stroke."""
        self._held = dict(sandboxes)
        self._uplinks = frozenset(f'"{name}"' for name in uplinks)
        self._recount()
        await self._write_whole()

    async def put(self, sandbox: str, elements: Elements) -> None:
        """A sandbox may this from now on, and nothing else it might before."""
        before = self._held.get(sandbox, {})
        self._held[sandbox] = elements
        await self._change(before, elements)

    async def drop(self, sandbox: str) -> None:
        """A sandbox may nothing any more; unknown is no error."""
        await self._change(self._held.pop(sandbox, {}), {})

    async def heal(self, uplinks: Iterable[str]) -> bool:
        """Look whether the kernel's tables are as they should be, and put them right; whether they were not."""
        wanted = frozenset(f'"{name}"' for name in uplinks)
        expected = wanted == self._uplinks and self._in_step
        if expected and (await self._looks_whole() or await self._looks_whole()):
            return False  # the second look, since a listing of sets that are just growing may lack or repeat some
        if expected and self._in_step:
            _LOG.warning(
                "somebody changed or removed the tables `%s` of the packet filter; they are put back", ruleset.TABLE
            )
        self._uplinks = wanted
        await self._write_whole()
        return True

    async def _looks_whole(self) -> bool:
        held, text = self._all(), self._text()  # of this moment: what changes later is done after the look
        return is_whole(await self._run(self._listed), held, text)

    def _listed(self) -> dict[str, list[dict[str, Any]] | None]:
        return {family: self._kernel.listed(family, ruleset.TABLE) for family in ruleset.FAMILIES}

    async def _change(self, before: Elements, after: Elements) -> None:
        text = ruleset.deleted(self._gone(before, after)) + ruleset.added(self._fresh(before, after))
        if not self._in_step:
            await self._write_whole()
            return
        if not text:
            return
        try:
            await self._run(lambda: self._kernel.run(text))
        except Internal as error:
            _LOG.warning("the packet filter is written whole, since a change failed: %s", error)
            await self._write_whole()
        except (Timeout, asyncio.CancelledError):
            self._in_step = False  # it may have been done, or never have had its turn
            raise

    def _gone(self, before: Elements, after: Elements) -> Elements:
        gone = {}
        for place, texts in before.items():
            old = texts - after.get(place, frozenset())
            self._counts.subtract((place, text) for text in old)
            gone[place] = frozenset(text for text in old if not self._counts[place, text])
            for text in gone[place]:
                del self._counts[place, text]
        return gone

    def _fresh(self, before: Elements, after: Elements) -> Elements:
        fresh = {}
        for place, texts in after.items():
            new = texts - before.get(place, frozenset())
            fresh[place] = frozenset(text for text in new if not self._counts[place, text])
            self._counts.update((place, text) for text in new)
        return fresh

    def _recount(self) -> None:
        self._counts = Counter(
            (place, text) for elements in self._held.values() for place, texts in elements.items() for text in texts
        )

    def _all(self) -> Elements:
        return {**ruleset.together(self._held.values()), _UPLINKS: self._uplinks}

    def _text(self) -> str:
        return ruleset.whole(self._all(), host_access=self._host_access)

    async def _write_whole(self) -> None:
        text = self._text()
        self._in_step = False
        await self._run(lambda: self._kernel.run(text))
        self._in_step = True

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except TimeoutError as error:
            raise Timeout(
                f"The packet filter took longer than {self._seconds:g} seconds; see whether the machine is overloaded."
            ) from error
