# SPDX-License-Identifier: Apache-2.0
"""Answers of Keystone that are believed for a while, found by the hash of a token: who reads this memory gets no token.

A token that was never seen costs as much memory as a good one, so what is refused is kept apart: a flood of inventions pushes
out other inventions only.
"""

import hashlib
from collections import OrderedDict
from typing import Generic, TypeVar

from zun.base.clock import Clock

Kept = TypeVar("Kept")
Digest = bytes


def digest_of(token: str) -> Digest:
    """What is kept of a token. Tokens are long and random, so a plain hash tells nothing of them."""
    return hashlib.sha256(token.encode("ascii")).digest()


class AnswerCache(Generic[Kept]):
    """At most `size` answers, each for at most `seconds`; the longest unused go first."""

    def __init__(self, clock: Clock, *, size: int, seconds: float) -> None:
        self._clock = clock
        self._size = size
        self._seconds = seconds
        self._answers: OrderedDict[Digest, tuple[float, float | None, Kept]] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept, those that no longer count included."""
        return len(self._answers)

    def get(self, digest: Digest) -> Kept | None:
        """The answer, if it still counts."""
        found = self._answers.get(digest)
        if found is None:
            return None
        until, expires_at, answer = found
        if self._clock.monotonic() >= until or (expires_at is not None and self._clock.now() >= expires_at):
            del self._answers[digest]
            return None
        self._answers.move_to_end(digest)
        return answer

    def put(self, digest: Digest, answer: Kept, expires_at: float | None = None) -> None:
        """Keep an answer. `expires_at`: seconds since the epoch when it stops counting in any case."""
        self._answers[digest] = (self._clock.monotonic() + self._seconds, expires_at, answer)
        self._answers.move_to_end(digest)
        while len(self._answers) > self._size:
            self._answers.popitem(last=False)

    def drop(self, digest: Digest) -> None:
        """Forget an answer."""
        self._answers.pop(digest, None)
