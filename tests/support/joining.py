# SPDX-License-Identifier: Apache-2.0
"""Machines that want to join, and the control plane's side of it with a real authority."""

import json
from dataclasses import dataclass, field

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from zun.base.clock import Clock
from zun.base.ids import new_uuid
from zun.base.sealing import MasterKey
from zun.pki import pem
from zun.pki.authority import Authority, utc
from zun.pki.certifier import NodeCertifier
from zun.pki.exchange import JoinAnswer, JoinRequest, Signed, read_answer, sign_request
from zun.pki.requests import new_request
from zun.pki.tokens import JoinToken, read_token
from zun.policy.enforcer import Policy
from zun.services.account_keeping import AccountKeeper
from zun.services.join_options import JoinOptions
from zun.services.joining import JoiningService
from zun.store.accounts import FakeAccounts, NodeAccounts
from zun.store.interface import Store

ENDPOINTS = ("etcd-1.test:2379", "etcd-2.test:2379")
JOIN = "/v1/nodes/join"
TOKENS = "/v1/nodes/tokens"


@dataclass
class Gate:
    """What lets machines in."""

    authority: Authority
    accounts: FakeAccounts
    service: JoiningService


def gate(store: Store, policy: Policy, clock: Clock, key: MasterKey, *, accounts: NodeAccounts | None = None) -> Gate:
    """A gate with an authority of its own."""
    authority = Authority.create("Test CA", utc(clock.now()))
    fake = FakeAccounts()
    service = JoiningService(
        store=store,
        policy=policy,
        clock=clock,
        master_key=key,
        certifier=NodeCertifier(authority, 365),
        keeper=AccountKeeper(store, accounts or fake),
        options=JoinOptions(endpoints=ENDPOINTS),
    )
    return Gate(authority, fake, service)


@dataclass
class Machine:
    """A machine with keys of its own."""

    name: str
    uuid: str = field(default_factory=new_uuid)
    key: ec.EllipticCurvePrivateKey = field(default_factory=pem.new_key)
    seal_key: str = "ab" * 32

    def request(self, now: float, **changed: object) -> JoinRequest:
        """What it asks."""
        asked = JoinRequest(self.name, self.uuid, new_request(self.key, self.name), self.seal_key, now)
        return msgspec.structs.replace(asked, **changed)


async def new_token(admin: httpx.AsyncClient, **members: object) -> JoinToken:
    """A token that an administrator made."""
    answer = await admin.post(TOKENS, json=members)
    assert answer.status_code == 201, answer.text
    return read_token(answer.json()["token"])


async def send(stranger: httpx.AsyncClient, signed: Signed) -> httpx.Response:
    """The call that joins."""
    return await stranger.post(JOIN, content=msgspec.json.encode(signed))


async def join(stranger: httpx.AsyncClient, token: JoinToken, request: JoinRequest) -> JoinAnswer:
    """Join, and check the answer as a machine does."""
    signed = sign_request(token.id, token.secret, request)
    answer = await send(stranger, signed)
    assert answer.status_code == 200, answer.text
    return read_answer(token.secret, signed, msgspec.json.decode(answer.content, type=Signed))


async def refusal(stranger: httpx.AsyncClient, token: JoinToken, request: JoinRequest) -> tuple[int, str]:
    """Join and be refused: status and reason."""
    answer = await send(stranger, sign_request(token.id, token.secret, request))
    body = json.loads(answer.content)
    told = body["error"]["message"] if answer.status_code == 401 else body["errors"][0]["detail"]
    return answer.status_code, told
