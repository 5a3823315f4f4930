# SPDX-License-Identifier: Apache-2.0
"""What the node says of itself when it is asked: its clock, versions and certificate."""

import asyncio

from zun import __version__
from zun.agent.fingerprinting import About
from zun.base.clock import Clock
from zun.drivers.runtime.base import Runtime
from zun.model.errors import ZunError
from zun.services.nodelive import NodeDescription

_ENGINE_SECONDS = 10.0


class Describing:
    """Asks the engine each time: that it answers is part of what one wants to know."""

    def __init__(self, about: About, runtime: Runtime, clock: Clock) -> None:
        self._about = about
        self._runtime = runtime
        self._clock = clock

    async def __call__(self) -> NodeDescription:
        """The description now."""
        version, trouble = await self._engine()
        return NodeDescription(
            node=self._about.node,
            at=self._clock.now(),
            version=__version__,
            boot_id=self._about.boot_id,
            started_at=self._about.started_at,
            engine=self._runtime.name,
            engine_version=version,
            engine_error=trouble,
            certificate_expires_at=self._about.endpoint.certificate_expires_at(),
        )

    async def _engine(self) -> tuple[str, str]:
        try:
            async with asyncio.timeout(_ENGINE_SECONDS):
                return (await self._runtime.containers.fingerprint()).engine_version, ""
        except TimeoutError:
            return "", f"The engine did not answer within {_ENGINE_SECONDS:g} seconds."
        except ZunError as error:
            return "", error.message
