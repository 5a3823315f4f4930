# SPDX-License-Identifier: Apache-2.0
"""What a joining machine and the control plane say to each other, once each, signed with the token's secret (HMAC-SHA256, RFC 2104).

The secret itself never travels, so the exchange may go over plain HTTP: who is between them can read it (it holds no secret), drop it,
and repeat the same request, but neither change it nor play one of the two. An answer is bound to its request.
"""

import hashlib
import hmac

import msgspec

from zun.model.errors import Denied, Invalid

MAX_BYTES = 16 * 1024
"""No request is longer."""


class JoinRequest(msgspec.Struct, frozen=True):
    """A machine's wish to be a node. `csr` is PEM, `seal_key` the public key (hex) its secrets are to be sealed for, `at` its clock."""

    node: str
    uuid: str
    csr: str
    seal_key: str
    at: float

    def fingerprint(self, key: str) -> str:
        """The same for the same machine asking for the same with the same keys, whenever it asks. `key` stands for the request's key."""
        return hashlib.sha256(msgspec.json.encode((self.node, self.uuid, key, self.seal_key))).hexdigest()


class JoinAnswer(msgspec.Struct, frozen=True):
    """What makes a machine a node: its certificate and whom to trust (PEM, the authority first), where the store is, the service's clock."""

    node: str
    certificate: str
    trusted: str
    endpoints: tuple[str, ...]
    at: float


class Signed(msgspec.Struct, frozen=True):
    """A message as it travels. `id` is the token's number, `body` the JSON of the message, `mac` its proof."""

    id: str
    body: bytes
    mac: bytes


def sign_request(token_id: str, secret: bytes, request: JoinRequest) -> Signed:
    """The request, with the proof that the sender has the token."""
    body = msgspec.json.encode(request)
    return Signed(token_id, body, _mac(secret, b"request", token_id.encode(), body))


def read_request(secret: bytes, signed: Signed) -> JoinRequest:
    """The request. Raises `Denied` when the proof is wrong, `Invalid` when it was sent in another form."""
    _check(signed, _mac(secret, b"request", signed.id.encode(), signed.body))
    try:
        return msgspec.json.decode(signed.body, type=JoinRequest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(
            f"The request to join has another form than this service knows ({error}); use the same version on both machines."
        ) from error


def sign_answer(secret: bytes, request: Signed, answer: JoinAnswer) -> Signed:
    """The answer, with the proof that the sender knows the token's secret and means that request."""
    body = msgspec.json.encode(answer)
    return Signed(request.id, body, _mac(secret, b"answer", request.mac, body))


def read_answer(secret: bytes, request: Signed, signed: Signed) -> JoinAnswer:
    """The answer. Raises `Denied` when the proof is wrong, `Invalid` when it was sent in another form."""
    _check(signed, _mac(secret, b"answer", request.mac, signed.body))
    try:
        return msgspec.json.decode(signed.body, type=JoinAnswer)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(
            f"The service's answer has another form than this machine knows ({error}); use the same version on both."
        ) from error


def _mac(secret: bytes, purpose: bytes, context: bytes, body: bytes) -> bytes:
    # Each part is bounded or hashed, so that no two messages are the same bytes.
    parts = (b"zun join 1", purpose, context, body)
    return hmac.digest(secret, b"".join(hashlib.sha256(part).digest() for part in parts), "sha256")


def _check(signed: Signed, expected: bytes) -> None:
    if not hmac.compare_digest(signed.mac, expected):
        raise Denied("The message was not signed with this token's secret.", status=401)
