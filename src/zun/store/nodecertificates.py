# SPDX-License-Identifier: Apache-2.0
"""How a node asks for its next certificate through the store: it writes a request, the leader answers into its inbox.

Both sides of it; like `StoreNodeLink` the node's touches only what its role in a shared store allows.
"""

import hashlib

from zun.model.join_records import CertificateRequest, IssuedCertificate
from zun.store import codec, keys
from zun.store.interface import Delete, Put, Store


def digest(csr: str) -> str:
    """What an answer names the request by."""
    return hashlib.sha256(csr.encode()).hexdigest()


class NodeCertificates:
    """The node's side. Raises `Unavailable`, `Timeout`, and `Denied` once the node was removed."""

    def __init__(self, store: Store, node: str) -> None:
        self._store = store
        self._node = node

    async def ask(self, csr: str) -> None:
        """Wish for a certificate; the request (PEM) takes the place of an earlier one."""
        await self._store.transact([], [Put(keys.node_request(self._node), codec.encode(CertificateRequest(csr)))])

    async def answer(self, csr: str) -> IssuedCertificate | None:
        """The answer to that request, None while there is none. Raises `Internal` when it is damaged."""
        found = await self._store.get(keys.node_certificate(self._node))
        answer = codec.decode(IssuedCertificate, found.value) if found is not None else None
        return answer if answer is not None and answer.request == digest(csr) else None

    async def done(self) -> None:
        """Withdraw the request."""
        await self._store.transact([], [Delete(keys.node_request(self._node))])
