# SPDX-License-Identifier: Apache-2.0
"""Letting machines in: tokens for operators to carry to them, and the one request with which a machine becomes a node.

A token works once. What it was used for is written in the transaction that makes the node known; so when the answer gets lost, the
same machine may ask the same again, with the same keys, and nobody else may ask anything.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec

from zun.base.clock import Clock
from zun.base.ids import canonical_uuid
from zun.base.sealing import MasterKey
from zun.model import subjects
from zun.model.caller import RequestContext
from zun.model.errors import Conflict, Denied, Invalid, NotFound, Precondition, Unavailable
from zun.model.join_records import JoinTokenRecord, JoinUse
from zun.model.node_names import check_node_name
from zun.pki.exchange import JoinAnswer, JoinRequest, Signed, read_request, sign_answer
from zun.pki.tokens import JoinToken, expiry_of, new_token_id, secret_of
from zun.policy.enforcer import Policy
from zun.services.account_keeping import AccountKeeper
from zun.services.join_options import JoinOptions
from zun.services.node_registration import Newcomer, NodeRegistration
from zun.services.optimistic import ATTEMPTS
from zun.store import codec, keys
from zun.store.interface import KeyValue, Put, Store, unchanged

SKEW_SECONDS = 300
"""A certificate begins so long before it was made; a machine whose clock differs more cannot use it."""

TOKEN_SECONDS = (60, 86_400)
"""The shortest and the longest life of a token."""

DENIED = "This token is unknown, was used, or is too old; make a new one with `zunctl node token`."
"""All that somebody without a good token is told."""

_AT_ONCE = 16
_SECONDS = 60.0
_SEAL_KEY = re.compile(r"[0-9a-f]{64}")
_LOG = logging.getLogger(__name__)


class Certifier(Protocol):
    """The authority as far as joining is concerned (see `zun.pki.certifier`)."""

    @property
    def trusted_pem(self) -> str:
        """Whom a node is to trust: the authority's certificate first."""

    @property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of the authority's certificate."""

    def key_of(self, csr: str) -> str:
        """What stands for the request's key. Raises `Invalid`."""

    def certify(self, csr: str, *, node: str, user: str, now: float) -> str:
        """A certificate (PEM) for the request's key. Raises `Invalid`."""


class NewToken(msgspec.Struct, frozen=True):
    """A token, for the one who asked for it: `word` is shown once and kept nowhere."""

    word: str
    id: str
    node: str
    expires_at: float


class JoiningService:
    """Makes tokens and lets machines in that have one."""

    def __init__(
        self,
        *,
        store: Store,
        policy: Policy,
        clock: Clock,
        master_key: MasterKey,
        certifier: Certifier,
        keeper: AccountKeeper,
        options: JoinOptions,
    ) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._master_key = master_key
        self._certifier = certifier
        self._keeper = keeper
        self._options = options
        self._registration = NodeRegistration(store, clock)
        self._turn = asyncio.Lock()
        self._inside = 0

    async def make_token(
        self, ctx: RequestContext, *, node: str = "", seconds: int | None = None, url: str
    ) -> NewToken:
        """A token for one machine, to join under the name `node`, or under any name that is free. `url`: where the API was asked.

        A token for a name lets its bearer *replace* the node that has it. Raises `Invalid` for a name no node can have.
        """
        self._policy.authorize(ctx.caller, "node:token")
        if node:
            check_node_name(node)
        lasting = self._options.token_seconds if seconds is None else seconds
        expires_at = float(int(self._clock.now()) + lasting)
        token_id = new_token_id(expires_at)
        record = JoinTokenRecord(user_id=ctx.caller.user_id, expires_at=expires_at, node=node)
        lease = await self._store.grant_lease(lasting)
        await self._store.transact([], [Put(keys.join_token(token_id), codec.encode(record), lease)])
        token = JoinToken(
            urls=self._options.api_urls or (url,),
            id=token_id,
            secret=secret_of(self._master_key, token_id),
            ca=self._certifier.fingerprint,
            name=node,
        )
        return NewToken(token.text(), token_id, node, expires_at)

    async def revoke_token(self, ctx: RequestContext, token_id: str) -> None:
        """The token lets nobody in any more. Raises `NotFound` for one that is unknown or over; what joined with it stays."""
        self._policy.authorize(ctx.caller, "node:token")
        found = await self._store.get(keys.join_token(token_id)) if expiry_of(token_id) is not None else None
        if found is None:
            raise NotFound("There is no such token, or it is over.")
        await self._store.revoke(found.lease)

    async def join(self, signed: Signed) -> Signed:
        """Let the machine in that signed this. Raises `Denied` (401), always in the same words, to whom has no good token.

        To whom has one: `Invalid` for a request that is wrong, `Conflict` for a name that is taken, `Unavailable` while too many join.
        """
        ends = expiry_of(signed.id)
        if ends is None or self._clock.now() > ends + 1:
            raise _denied()
        secret = secret_of(self._master_key, signed.id)
        try:
            request = read_request(secret, signed)
        except Denied as error:
            raise _denied() from error
        self._check(request)
        fingerprint = request.fingerprint(self._certifier.key_of(request.csr))
        async with self._one_at_a_time():
            use = await self._used(signed.id, request, fingerprint)
            record = await self._keeper.settle(request.node)
            if record is None or record.user != use.user:  # removed, or replaced, meanwhile
                raise _denied()
        _LOG.info("node %s joined as %s", use.node, use.user)
        answer = JoinAnswer(
            use.node, use.certificate, self._certifier.trusted_pem, self._options.endpoints, self._clock.now()
        )
        return sign_answer(secret, signed, answer)

    def _check(self, request: JoinRequest) -> None:
        check_node_name(request.node)
        ahead = request.at - self._clock.now()
        if not abs(ahead) <= SKEW_SECONDS:
            raise Invalid(
                f"The clock of this machine is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the service's; set it "
                f"(at most {SKEW_SECONDS} s may be between them), then join again."
            )
        if canonical_uuid(request.uuid) != request.uuid:
            raise Invalid("The node's uuid is none; remove node.json from its state directory and join again.")
        if _SEAL_KEY.fullmatch(request.seal_key) is None:
            raise Invalid(
                "The node's key for secrets is none; remove node.key from its state directory and join again."
            )

    async def _used(self, token_id: str, request: JoinRequest, fingerprint: str) -> JoinUse:
        """The token's use by this request, now or before. Raises `Denied` for a token that is over or was used for another."""
        key = keys.join_token(token_id)
        for delay in (*ATTEMPTS.delays(), None):
            found = await self._store.get(key)
            if found is None:
                raise _denied()
            token = codec.decode(JoinTokenRecord, found.value)
            if token.used is not None:
                if token.used.request != fingerprint:
                    raise _denied()
                return token.used
            if token.node and token.node != request.node:
                raise Conflict(f"This token was made for node {token.node}, not {request.node}; join under that name.")
            use = await self._use(found, token, request, fingerprint)
            if use is not None:
                return use
            if delay is not None:
                await self._clock.sleep(delay)
        raise Precondition("Others kept joining first; ask again.")

    async def _use(
        self, found: KeyValue, token: JoinTokenRecord, request: JoinRequest, fingerprint: str
    ) -> JoinUse | None:
        """Use the token up and make the node known, in one transaction. None: something changed meanwhile."""
        user = subjects.new_node_user(request.node)
        certificate = self._certifier.certify(request.csr, node=request.node, user=user, now=self._clock.now())
        use = JoinUse(fingerprint, request.node, user, certificate)
        newcomer = Newcomer(request.node, request.uuid, request.seal_key, user)
        known = await self._registration.wanted(newcomer, again=bool(token.node))
        used = Put(found.key, codec.encode(msgspec.structs.replace(token, used=use), over=found.value), found.lease)
        done = await self._store.transact(
            [unchanged(found.key, found.mod_revision), *known.compares], [used, *known.ops]
        )
        return use if done.succeeded else None

    @asynccontextmanager
    async def _one_at_a_time(self) -> AsyncIterator[None]:
        """Changes of etcd's users disturb its other clients, so they are made one after the other; a crowd is sent away."""
        if self._inside >= _AT_ONCE:
            raise Unavailable("Many machines are joining at this moment; try again in a few seconds.")
        self._inside += 1
        try:
            async with asyncio.timeout(_SECONDS), self._turn:
                yield
        except TimeoutError as error:
            raise Unavailable("Joining takes too long at this moment; ask again the same way.") from error
        finally:
            self._inside -= 1


def _denied() -> Denied:
    return Denied(DENIED, status=401)
