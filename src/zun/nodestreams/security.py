# SPDX-License-Identifier: Apache-2.0
"""Who may speak to whom: with mutual TLS between machines, or in plain words on a machine's own loopback.

A node's server takes only clients with a certificate of our authority that has the control plane's name; a node's is of that authority, too, and is
refused. A client takes only the server that can show a certificate for the node it wants, whatever address the node told.
"""

from typing import Protocol

import grpc
import grpc.aio

from zun.model.errors import Invalid, Unavailable
from zun.model.subjects import CONTROL, node_host
from zun.nodestreams.addresses import Address
from zun.nodestreams.credentials import Credentials
from zun.nodestreams.protocol import Arguments


class Stranger(Exception):
    """A client that may not call."""


class ServerSecurity(Protocol):
    """A server's side."""

    def listen(self, server: grpc.aio.Server, address: Address) -> int:
        """Have the server listen; gives the port. Raises `RuntimeError` when it cannot."""

    def check(self, context: grpc.aio.ServicerContext) -> None:
        """Raises `Stranger` unless the caller is the control plane."""


class ClientSecurity(Protocol):
    """A client's side. `generation` is another one when connections made before should not be used for new calls."""

    def generation(self) -> int:
        """See the class."""

    def connect(self, node: str, address: Address, arguments: Arguments) -> grpc.aio.Channel:
        """A channel to that node. Raises `Unavailable` when there can be none."""


class PlainServer:
    """Everybody on this machine may call."""

    def __init__(self, address: Address) -> None:
        """Raises `Invalid` for an address that others reach."""
        if not address.loopback:
            raise Invalid(
                f"[compute] stream_listen = {address}: without a certificate streams are served on this machine's loopback only, since "
                "whoever reaches them owns the containers. Join the node with a token, which gives it one."
            )

    def listen(self, server: grpc.aio.Server, address: Address) -> int:
        """Listen."""
        return int(server.add_insecure_port(str(address)))

    def check(self, context: grpc.aio.ServicerContext) -> None:
        """Everybody."""


class PlainClient:
    """Calls nodes on this machine."""

    def generation(self) -> int:
        """Never another one."""
        return 0

    def connect(self, node: str, address: Address, arguments: Arguments) -> grpc.aio.Channel:
        """A channel. Raises `Unavailable` for a node on another machine."""
        if not address.loopback:
            raise Unavailable(
                f"Node {node} is on another machine ({address}) and this API server has no certificate to reach it with; have an operator "
                "make one with `zund ca issue control`."
            )
        return grpc.aio.insecure_channel(address.target, options=arguments)


class TlsServer:
    """The control plane may call."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._told = -1

    def listen(self, server: grpc.aio.Server, address: Address) -> int:
        """Listen. Each handshake uses the newest certificate."""
        first = self._configuration()
        options = grpc.dynamic_ssl_server_credentials(first, self._changed, require_client_authentication=True)
        return int(server.add_secure_port(str(address), options))

    def check(self, context: grpc.aio.ServicerContext) -> None:
        """By the name in the certificate that the handshake has checked."""
        names = context.auth_context().get("x509_common_name", [])
        if list(names) != [CONTROL.encode()]:
            raise Stranger(", ".join(repr(name)[:100] for name in names) or "no name")

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        identity = self._credentials.current()
        self._told = self._credentials.generation
        return grpc.ssl_server_certificate_configuration([(identity.key, identity.certificate)], identity.authority)

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Asked by gRPC at each handshake, in a thread of its own; None: as before."""
        self._credentials.current()
        return None if self._told == self._credentials.generation else self._configuration()


class TlsClient:
    """Calls nodes as the control plane."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def generation(self) -> int:
        """Grows with a new certificate."""
        self._credentials.current()
        return self._credentials.generation

    def connect(self, node: str, address: Address, arguments: Arguments) -> grpc.aio.Channel:
        """A channel; what answers must be that node. Raises `Unavailable` when our own certificate has expired."""
        identity = self._credentials.valid()
        shown = grpc.ssl_channel_credentials(identity.authority, identity.key, identity.certificate)
        name: Arguments = [("grpc.ssl_target_name_override", node_host(node))]
        return grpc.aio.secure_channel(address.target, shown, options=[*arguments, *name])
