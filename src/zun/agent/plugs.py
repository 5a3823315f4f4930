# SPDX-License-Identifier: Apache-2.0
"""Networks of the control plane, for the agent: a container's interfaces are made known before it is made, and let go of after it.

On a node whose engine plugs containers in there is nothing to do here.
"""

import logging
from collections.abc import Callable

import msgspec

from zun.drivers.network.base import Networks
from zun.drivers.runtime.types import Capability
from zun.model.attachments import SandboxNetwork, sandbox_key
from zun.model.errors import Conflict, NotFound, Timeout, Unavailable, ZunError
from zun.model.networks import CNI
from zun.model.records import Inbox, NodeInfo

_log = logging.getLogger(__name__)


class Plugs:
    """Who plugs in, as far as containers are concerned. `networks` None: the engine does. `publish_address`: where ports are published; "": nowhere."""

    def __init__(self, networks: Networks | None, publish_address: str = "127.0.0.1") -> None:
        self._publish_address = publish_address
        self._networks = networks if networks is not None and not networks.by_engine else None

    def described(self, info: NodeInfo) -> NodeInfo:
        """The node's account of itself, with what its containers are plugged into and where they are found."""
        capabilities = set(info.capabilities)
        if self._networks is not None:
            capabilities |= {CNI, Capability.NETWORKS.value, Capability.PUBLISH.value}
        if not self._publish_address:
            capabilities -= {Capability.PUBLISH.value}
        networks = info.networks if self._networks is None else []
        return msgspec.structs.replace(
            info, capabilities=sorted(capabilities), networks=networks, publish_address=self._publish_address
        )

    async def prepare(self, wanted: Inbox) -> None:
        """Make known what a container, or a capsule's sandbox, is plugged into. Raises `Conflict` when its place and this node do not agree who plugs it in."""
        if (wanted.attachments is None) is not (self._networks is None):
            kind = "its engine's" if self._networks is None else "the service's"
            what = "Capsule" if wanted.children else "Container"
            raise Conflict(
                f"{what} {wanted.uuid} was placed here when other networks were used than now, which are {kind}; delete it and create it anew."
            )
        if self._networks is not None and wanted.attachments is not None:
            sandbox = SandboxNetwork(sandbox_key(wanted.uuid, wanted.generation), tuple(wanted.attachments))
            await self._networks.prepare(sandbox)

    async def change(self, wanted: Inbox) -> None:
        """Plug a container into what its place has by now, and out of the rest; one that was not made yet is made so.

        Raises what the port raises; what was done until then stays.
        """
        if self._networks is None or wanted.attachments is None:
            await self.prepare(wanted)  # which says what is wrong
            return
        key = sandbox_key(wanted.uuid, wanted.generation)
        try:
            before = await self._networks.prepared(key)
        except NotFound:
            return
        for one in before.attachments:
            if one not in wanted.attachments:
                await self._networks.detach(key, one.network)
        for one in wanted.attachments:
            if one not in before.attachments:
                await self._networks.attach(key, one)

    async def release(self, key: str) -> None:
        """Nothing of a container's network is left. When who plugs in is away, that is done later: it undoes what has ended by itself."""
        if self._networks is None:
            return
        try:
            await self._networks.release(key)
        except (Unavailable, Timeout) as error:
            _log.warning("the network of sandbox %s is given back later: %s", key, error.message)

    async def sweep(self, keep: Callable[[], set[str]]) -> None:
        """Let go of all that is no container's any more; `keep` is asked anew each time, since containers come meanwhile."""
        if self._networks is None:
            return
        try:
            for key in await self._networks.known():
                if key not in keep():
                    await self._networks.release(key)
        except ZunError as error:
            _log.warning("networks of containers that are gone are looked at again later: %s", error.message)
