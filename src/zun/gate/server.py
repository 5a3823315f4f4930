# SPDX-License-Identifier: Apache-2.0
"""The gate's server: gRPC with mutual TLS. Whoever has no certificate of the authority is not heard, whoever is no node is refused."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import Message

from zun.gate import answers
from zun.gate.calls import Calls, ServedError, UnknownLease
from zun.gate.options import GateOptions
from zun.gate.requests import NotPermitted
from zun.gate.visitors import TooMany, Visitor, Visitors
from zun.model.errors import Unavailable
from zun.nodestreams.credentials import Credentials, Identity
from zun.store.etcd import rpc_pb2 as pb
from zun.telemetry.meter import NO_METER, Meter
from zun.telemetry.metrics import GATE_CALLS

STOP_SECONDS = 2.0
_DAY_MS = 86_400_000

_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", 2 * 1024 * 1024),  # a request of the store has at most 1.5 MiB
    ("grpc.max_send_message_length", -1),
    ("grpc.max_concurrent_streams", 256),
    ("grpc.max_connection_age_ms", _DAY_MS),  # certificates are looked at again
    ("grpc.keepalive_time_ms", 10_000),  # a node that vanished without a word is noticed
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),  # a taken port is an error
)


class GateServer:
    """Has its port as soon as it is made, serves while `run` does."""

    def __init__(
        self,
        calls: Calls,
        visitors: Visitors,
        credentials: Credentials,
        options: GateOptions,
        *,
        meter: Meter = NO_METER,
    ) -> None:
        """Raises `Unavailable` when the port is taken."""
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((_Methods(calls, visitors, meter),))
        host = f"[{options.host}]" if ":" in options.host else options.host
        asked = f"{host}:{options.port}"
        try:
            port = self._server.add_secure_port(asked, _server_credentials(credentials))
        except RuntimeError as error:
            raise Unavailable(
                f"The gate cannot listen on {asked}; is another process there? ([gate] host, port)"
            ) from error
        self.address = f"{host}:{port}"

    async def run(self) -> NoReturn:
        """Serve until cancelled."""
        await self._server.start()
        try:
            await asyncio.Event().wait()
        finally:
            await self.stop()
        raise AssertionError("only cancellation ends it")

    async def stop(self) -> None:
        """Take no new calls, give those in work a moment, and end the rest. May be repeated."""
        await self._server.stop(STOP_SECONDS)


class _Methods(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc has no types
    """Every method by name; all others are refused like what is not permitted."""

    def __init__(self, calls: Calls, visitors: Visitors, meter: Meter) -> None:
        self._visitors = visitors
        self._meter = meter
        self._known = {
            "KV/Range": self._unary(calls.range, pb.RangeRequest),
            "KV/Txn": self._unary(calls.transact, pb.TxnRequest),
            "Lease/LeaseGrant": self._unary(calls.grant, pb.LeaseGrantRequest),
            "Lease/LeaseRevoke": self._unary(calls.revoke, pb.LeaseRevokeRequest),
            "Lease/LeaseKeepAlive": self._stream(calls.keep_alive, pb.LeaseKeepAliveRequest),
            "Maintenance/Status": _status(calls),
            "Watch/Watch": self._stream(calls.watch, pb.WatchRequest),
        }

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a call."""
        name: str = handler_call_details.method
        return self._known.get(name.removeprefix("/etcdserverpb.")) or self._refused(name)

    def _unary(self, do: Callable[..., Awaitable[Message]], request: type[Message]) -> Any:
        async def serve(message: Message, context: Any) -> Any:
            return await self._served(context, do, message)

        return grpc.unary_unary_rpc_method_handler(serve, request.FromString, _encoded)

    def _stream(self, do: Callable[..., Awaitable[None]], request: type[Message]) -> Any:
        async def stay(visitor: Visitor, context: Any) -> None:
            async with visitor.staying():
                await do(visitor, context)

        stay.__name__ = do.__name__

        async def serve(_: Any, context: Any) -> None:
            await self._served(context, stay, context)

        return grpc.stream_stream_rpc_method_handler(serve, request.FromString, _encoded)

    async def _served(self, context: Any, do: Callable[..., Awaitable[Any]], argument: Any) -> Any:
        """What the call answers. Never returns after a refusal: `abort` raises."""
        who = context.auth_context()
        result = "failed"
        try:
            async with self._visitors.admitted(who) as visitor:
                answer = await do(visitor, argument)
                result = "done"
                return answer
        except asyncio.CancelledError:  # the node hung up, or the gate stops
            result = "done"
            raise
        except NotPermitted:
            self._visitors.complain(who, do.__name__)
            result, (code, details) = "denied", answers.PERMISSION_DENIED
        except UnknownLease:
            result, (code, details) = "denied", answers.UNKNOWN_LEASE
        except TooMany:
            result, (code, details) = "busy", answers.TOO_MANY
        except TimeoutError:
            code, details = answers.IN_DOUBT
        except ServedError as error:
            code, details = answers.refusal(error)
        finally:
            self._meter.count(GATE_CALLS, do.__name__, result)
        return await context.abort(code, details)

    def _refused(self, name: str) -> Any:
        async def serve(_: Any, context: Any) -> None:
            self._visitors.complain(context.auth_context(), name)
            self._meter.count(GATE_CALLS, "other", "denied")
            await context.abort(*answers.PERMISSION_DENIED)

        return grpc.stream_stream_rpc_method_handler(serve)


def _status(calls: Calls) -> Any:
    async def serve(_: Message, __: Any) -> Message:
        return calls.status()

    return grpc.unary_unary_rpc_method_handler(serve, pb.StatusRequest.FromString, _encoded)


def _encoded(message: Message) -> bytes:
    return message.SerializeToString()


def _server_credentials(credentials: Credentials) -> Any:
    """Credentials that are looked at anew at each handshake."""

    def configuration(identity: Identity) -> Any:
        return grpc.ssl_server_certificate_configuration(
            [(identity.key, identity.certificate)], root_certificates=identity.authority
        )

    first = credentials.current()
    latest = [first]

    def changed() -> Any:
        identity = credentials.current()
        if identity is latest[0]:
            return None
        latest[0] = identity
        return configuration(identity)

    return grpc.dynamic_ssl_server_credentials(configuration(first), changed, require_client_authentication=True)
