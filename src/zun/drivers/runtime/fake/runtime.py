# SPDX-License-Identifier: Apache-2.0
"""The fake as a whole: one connection to a made-up engine."""

from zun.base.clock import Clock
from zun.drivers.runtime.fake.containers import FakeContainers, FakeNetworks
from zun.drivers.runtime.fake.engine import FakeEngine
from zun.drivers.runtime.fake.images import FakeImages
from zun.drivers.runtime.fake.pods import FakePods
from zun.drivers.runtime.fake.streams import FakeStreams
from zun.drivers.runtime.types import ImageInfo
from zun.model.errors import ZunError


class FakeRuntime:
    """A `Runtime` in memory. Give it an engine to come back to what an earlier runtime left there."""

    def __init__(self, clock: Clock, *, owner: str = "fake", engine: FakeEngine | None = None) -> None:
        self.engine = FakeEngine(clock) if engine is None else engine
        self._containers = FakeContainers(self.engine, owner)
        self._pods = FakePods(self.engine, owner)
        self._images = FakeImages(self.engine, owner)
        self._networks = FakeNetworks(self.engine, owner)
        self._streams = FakeStreams(self.engine, owner)

    @property
    def name(self) -> str:
        """Its name."""
        return "fake"

    @property
    def containers(self) -> FakeContainers:
        """Life of containers."""
        return self._containers

    @property
    def pods(self) -> FakePods:
        """Sandboxes."""
        return self._pods

    @property
    def images(self) -> FakeImages:
        """Images."""
        return self._images

    @property
    def networks(self) -> FakeNetworks:
        """Networks."""
        return self._networks

    @property
    def streams(self) -> FakeStreams:
        """Live things."""
        return self._streams

    async def close(self) -> None:
        """Let go; the engine and its containers stay."""

    def fail(self, verb: str, error: ZunError, *, times: int | None = 1, skip: int = 0, after: bool = False) -> None:
        """As `Faults.fail`: let calls of a verb fail."""
        self.engine.faults.fail(verb, error, times=times, skip=skip, after=after)

    def vanish(self, handle: str) -> None:
        """As `FakeEngine.vanish`: somebody removes a container behind everybody's back."""
        self.engine.vanish(handle)

    def add_image(self, reference: str, **fields: object) -> ImageInfo:
        """As `FakeEngine.add_image`: an image that need not be pulled."""
        return self.engine.add_image(reference, **fields)
