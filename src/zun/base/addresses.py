# SPDX-License-Identifier: Apache-2.0
"""Network addresses as people write them."""

_MOST = 65535


def address(text: str) -> tuple[str, int]:
    """Host and port in `host:port`; an IPv6 address stands in brackets. Raises `ValueError`, saying how to write it."""
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isascii() or not port.isdigit() or int(port) > _MOST:
        raise ValueError(f"{text!r} is no host:port; write it like 127.0.0.1:9517 or [::1]:9517")
    return host.strip("[]"), int(port)


def written(host: str, port: int) -> str:
    """The same as text."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
