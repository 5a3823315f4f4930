# SPDX-License-Identifier: Apache-2.0
"""Answers one node's request for its next certificate."""

import logging
from typing import Protocol

from zun.base.clock import Clock
from zun.model.errors import Internal, Invalid
from zun.model.join_records import CertificateRequest, IssuedCertificate
from zun.model.records import NodeRecord
from zun.store import codec, keys
from zun.store.fencing import Fence
from zun.store.interface import Get, KeyValue, Put, Store, unchanged
from zun.store.nodecertificates import digest

PAUSE_SECONDS = 60.0
"""A node gets no more than one answer in so long, however often it asks."""

_LOG = logging.getLogger(__name__)


class Renewer(Protocol):
    """The authority as far as renewing is concerned (see `zun.pki.certifier`)."""

    def renew(self, csr: str, *, node: str, user: str, now: float) -> str:
        """The node's next certificate (PEM). Raises `Invalid`."""


class Signer:
    """Signs for nodes that are known. What a node writes is believed in one thing only: that it has the key it names."""

    def __init__(self, store: Store, clock: Clock, renewer: Renewer) -> None:
        self._store = store
        self._clock = clock
        self._renewer = renewer

    async def answer(self, fence: Fence, node: str) -> float:
        """Answer the node's request if it has an open one. Returns the seconds after which to look again, 0: not by itself.

        Raises `LeadershipLost`, `Unavailable`, `Timeout`.
        """
        record_key, request_key, answer_key = keys.node(node), keys.node_request(node), keys.node_certificate(node)
        looked = await self._store.transact([], [Get(record_key), Get(request_key), Get(answer_key)])
        known, asked, answered = looked.reads
        record = codec.decode(NodeRecord, known.value) if known is not None else None
        request = _request(node, asked)
        if known is None or record is None or not record.user or asked is None or request is None:
            return 0
        before = _answer(answered)
        wanted = digest(request.csr)
        if before.request == wanted:
            return 0
        wait = before.at + PAUSE_SECONDS - self._clock.now()
        if 0 < wait <= PAUSE_SECONDS:
            return wait
        answer = self._signed(record, request.csr, wanted)
        await fence.transact(
            [unchanged(record_key, known.mod_revision), unchanged(request_key, asked.mod_revision)],
            [Put(answer_key, codec.encode(answer)), Put(f"{keys.TOUCHED}certifying", node.encode())],
        )
        return 0

    def _signed(self, record: NodeRecord, csr: str, wanted: str) -> IssuedCertificate:
        now = self._clock.now()
        try:
            certificate = self._renewer.renew(csr, node=record.node, user=record.user, now=now)
        except Invalid as error:
            _LOG.warning("node %s gets no certificate: %s", record.node, error.message)
            return IssuedCertificate(refused=error.message, request=wanted, at=now)
        _LOG.info("node %s got its next certificate", record.node)
        return IssuedCertificate(certificate=certificate, request=wanted, at=now)


def _request(node: str, kv: KeyValue | None) -> CertificateRequest | None:
    if kv is None:
        return None
    try:
        return codec.decode(CertificateRequest, kv.value)
    except Internal:
        _LOG.warning("node %s asks for a certificate in a form that nobody can read", node)
        return None


def _answer(kv: KeyValue | None) -> IssuedCertificate:
    if kv is None:
        return IssuedCertificate()
    try:
        return codec.decode(IssuedCertificate, kv.value)
    except Internal:
        return IssuedCertificate()
