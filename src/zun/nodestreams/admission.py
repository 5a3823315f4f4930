# SPDX-License-Identifier: Apache-2.0
"""How much a node serves at once: bounded in all, and for each container, so that one cannot have all the room."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from zun.model.errors import Unavailable
from zun.nodestreams.options import NodeStreamOptions


class Admission:
    """Counts what is open."""

    def __init__(self, node: str, options: NodeStreamOptions) -> None:
        self._node = node
        self._options = options
        self._streams: Counter[str] = Counter()
        self._calls = 0

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return self._streams.total()

    @contextmanager
    def stream(self, container: str) -> Iterator[None]:
        """A stream of a container, as long as the context lasts. Raises `Unavailable` when there are too many."""
        if self._streams[container] >= self._options.most_streams_of_container:
            raise Unavailable(
                f"Container {container} has {self._streams[container]} open streams, which is as many as one may have; close some."
            )
        if self.streams >= self._options.most_streams:
            raise Unavailable(f"Node {self._node} serves {self.streams} streams, which is all it may; try again later.")
        self._streams[container] += 1
        try:
            yield
        finally:
            self._streams[container] -= 1
            if not self._streams[container]:
                del self._streams[container]

    @contextmanager
    def call(self) -> Iterator[None]:
        """A short call. Raises `Unavailable` when there are too many."""
        if self._calls >= self._options.most_calls:
            raise Unavailable(f"Node {self._node} answers {self._calls} calls, which is all it may; try again.")
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
