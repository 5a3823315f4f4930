# SPDX-License-Identifier: Apache-2.0
"""How the client reached us: the scheme, host and prefix that links must have, also behind a proxy."""

import ipaddress
from collections.abc import Mapping, Sequence

from starlette.types import Scope


class Origin:
    """Builds base URLs. Forwarding headers count only when they come from a trusted proxy."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in trusted_proxies]

    def base_url(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """Scheme, host and mount prefix of the request, without a slash at the end."""
        scheme = scope.get("scheme", "http")
        host = headers.get(b"host", b"").decode("latin-1") or self._own_address(scope)
        prefix = scope.get("root_path", "")
        if (b"x-forwarded-proto" in headers or b"x-forwarded-host" in headers or b"x-forwarded-prefix" in headers) and (
            self._trusts(scope)
        ):
            proto = _first(headers.get(b"x-forwarded-proto"))
            scheme = proto if proto in ("http", "https") else scheme
            host = _first(headers.get(b"x-forwarded-host")) or host
            prefix = _first(headers.get(b"x-forwarded-prefix")) or prefix
        prefix = prefix.strip("/")
        return f"{scheme}://{host}/{prefix}" if prefix else f"{scheme}://{host}"

    def _trusts(self, scope: Scope) -> bool:
        client = scope.get("client")
        if not client:
            return False
        try:
            address = ipaddress.ip_address(client[0])
        except ValueError:
            return False
        return any(address in network for network in self._trusted)

    @staticmethod
    def _own_address(scope: Scope) -> str:
        host, port = scope.get("server") or ("localhost", None)
        return f"{host}:{port}" if port else str(host)


def _first(value: bytes | None) -> str:
    return value.decode("latin-1").partition(",")[0].strip() if value else ""
