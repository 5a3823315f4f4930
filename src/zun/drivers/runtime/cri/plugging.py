# SPDX-License-Identifier: Apache-2.0
"""Sandboxes on networks of the service: the engine has the service's plugin plug them in, and here is seen to that nobody else did."""

from zun.drivers.runtime.base import Plugger
from zun.drivers.runtime.cri.handles import Identity
from zun.drivers.runtime.cri.sandboxes import Sandboxes
from zun.model.errors import Timeout, Unavailable, ZunError


class Plugging:
    """`plugger` None: this node plugs nothing in, and no such sandbox is made."""

    def __init__(self, sandboxes: Sandboxes, plugger: Plugger | None) -> None:
        self._sandboxes = sandboxes
        self._plugger = plugger

    async def confirm(self, which: Identity, sandbox_id: str) -> None:
        """A sandbox that was made is plugged in as was prepared, by the word of who did it; else it is discarded.

        An engine whose configuration was changed meanwhile may have had another plugin do it: what is in the sandbox would be among
        strangers, with an address that is somebody else's. Raises what the plugger raises.
        """
        if self._plugger is None:
            raise Unavailable(
                "This is plugged in by the service, which this node does not do; set driver = cni in section [network]."
            )
        try:
            namespace = await self._sandboxes.network_namespace(sandbox_id)
            await self._plugger.plug(which.handle, sandbox_id, namespace)
        except (Unavailable, Timeout):
            raise  # nothing is known; who tries again looks again
        except ZunError:
            await self._sandboxes.discard(sandbox_id)
            raise
