# SPDX-License-Identifier: Apache-2.0
"""Has a new certificate before the old one ends: asks when two thirds of its life are over, through the store."""

import logging
from typing import NoReturn

from zun.agent.membership import MembershipFiles
from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.errors import ZunError
from zun.pki.facts import read_file
from zun.pki.granted import check_granted
from zun.pki.requests import new_request
from zun.store.nodecertificates import NodeCertificates

LOOK_SECONDS = 3600.0
"""How often the age of the certificate is looked at."""

ANSWER_LOOKS = 20
"""So often the answer is looked for before it is asked again."""

_ANSWER = Backoff(first_seconds=1.0, cap_seconds=60.0, attempts=ANSWER_LOOKS)
_URGENT_SECONDS = 14 * 86_400.0
_LOG = logging.getLogger(__name__)


class CertificateKeeper:
    """Keeps the node's certificate young. Whoever uses the files notices that they changed."""

    def __init__(self, link: NodeCertificates, files: MembershipFiles, node: str, clock: Clock) -> None:
        self._link = link
        self._files = files
        self._node = node
        self._clock = clock

    async def run(self) -> NoReturn:
        """Until cancelled; failures are tried again."""
        while True:
            try:
                await self._renew_when_due()
            except ZunError as error:
                self._complain(error)
            await self._clock.sleep(LOOK_SECONDS)

    async def _renew_when_due(self) -> None:
        if not self._files.facts().due(self._clock.now()):
            return
        key = self._files.renewal_key()
        csr = new_request(key, self._files.facts().common_name)
        await self._link.ask(csr)
        for delay in _ANSWER.delays():
            await self._clock.sleep(delay)
            answer = await self._link.answer(csr)
            if answer is None:
                continue
            if answer.refused:
                _LOG.error("the control plane gives no new certificate: %s", answer.refused)
                return
            trusted = read_file(self._files.trusted).decode(errors="replace")
            check_granted(answer.certificate, trusted, key=key, node=self._node, now=self._clock.now())
            self._files.install(key, answer.certificate)
            await self._link.done()
            _LOG.info("the node has a new certificate")
            return
        _LOG.warning("nobody answered the request for a new certificate; asking again later (does a controller lead?)")

    def _complain(self, error: ZunError) -> None:
        _LOG.warning("the node's certificate was not renewed, trying again later: %s", error.message)
        try:
            left = self._files.facts().not_after - self._clock.now()
        except ZunError:
            return
        if left < _URGENT_SECONDS:
            _LOG.error("the node's certificate ends in %.1f days, and then the node is cut off", left / 86_400)
