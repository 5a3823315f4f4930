# SPDX-License-Identifier: Apache-2.0
"""How machines become nodes: tokens, for administrators, and the one call that a machine makes with one."""

from typing import Annotated

import msgspec
from starlette.responses import Response

from zun.api import responses
from zun.api.requests import Call
from zun.base.timestamps import iso
from zun.model.errors import Denied, Unsupported
from zun.model.fields import Field, Unknown
from zun.model.rules import integer, text
from zun.pki.exchange import MAX_BYTES, Signed
from zun.policy.enforcer import Policy
from zun.services.joining import DENIED, TOKEN_SECONDS, JoiningService

MAX_BODY_BYTES = 2 * MAX_BYTES
_NO_STORE = {"Cache-Control": "no-store"}


class NewTokenForm(msgspec.Struct, frozen=True, kw_only=True):
    """A token to be made."""

    name: Annotated[
        str | None, Field(rule=text(1, 63), doc="The only name to join under; replaces a node that has it.")
    ] = None
    seconds: Annotated[
        int | None, Field(rule=integer(*TOKEN_SECONDS), doc="How long the token lets a machine join.")
    ] = None


class SignedForm(msgspec.Struct, frozen=True, kw_only=True):
    """A request to join, signed with a token's secret; `zund compute --join` makes it."""

    id: Annotated[str, Field(rule=text(1, 64), required=True, nullable=False, doc="The token's number.")]
    body: Annotated[str, Field(rule=text(1, MAX_BODY_BYTES), required=True, nullable=False, doc="The message, base64.")]
    mac: Annotated[str, Field(rule=text(1, 64), required=True, nullable=False, doc="Its HMAC-SHA256, base64.")]


class NodeJoiningHandlers:
    """`/v1/nodes/tokens` and `/v1/nodes/join`."""

    def __init__(self, joining: JoiningService | None, policy: Policy) -> None:
        """`joining`: None where no machine can join."""
        self._joining = joining
        self._policy = policy

    async def create_token(self, call: Call) -> Response:
        """Make a token with which one machine may become a node. It is shown in this answer and never again."""
        form = await call.arguments(NewTokenForm, unknown=Unknown.REFUSE)
        token = await self._service_for(call).make_token(
            call.context, node=form.name or "", seconds=form.seconds, url=call.base_url
        )
        view = {
            "id": token.id,
            "token": token.word,
            "name": token.node or None,
            "expires_at": iso(token.expires_at),
        }
        return responses.json(view, 201, _NO_STORE)

    async def revoke_token(self, call: Call) -> Response:
        """Make a token worthless; what joined with it stays."""
        await self._service_for(call).revoke_token(call.context, call.params["id"])
        return responses.no_content()

    async def join(self, call: Call) -> Response:
        """Let a machine in that has a token. Needs no other; whoever has no good one gets 401, whatever else is wrong."""
        service = self._service()
        body = await call.body()
        try:
            signed = msgspec.json.decode(body, type=Signed)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Denied(DENIED, status=401) from error
        answer = await service.join(signed)
        return responses.raw_json(msgspec.json.encode(answer), headers=_NO_STORE)

    def _service_for(self, call: Call) -> JoiningService:
        """The service; who may not use it is told so first, whether there is one or not."""
        self._policy.authorize(call.caller, "node:token")
        return self._service()

    def _service(self) -> JoiningService:
        if self._joining is None:
            raise Unsupported(
                "Machines cannot join this service: it has no certificate authority, or its store is not an etcd with certificates. "
                "The operator guide tells how to set up several machines."
            )
        return self._joining
