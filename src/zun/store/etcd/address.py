# SPDX-License-Identifier: Apache-2.0
"""Where etcd's members are: the words of the configuration, checked before anything is opened."""

import ipaddress
from dataclasses import dataclass

from zun.model.errors import Invalid
from zun.store.options import StoreOptions

_EXAMPLE = "for example 10.0.0.11:2379, etcd-1.example.org:2379 or [2001:db8::1]:2379"


@dataclass(frozen=True)
class Address:
    """One member: a host (name or address, IPv6 without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it cannot be reached from other machines."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def addresses_of(options: StoreOptions) -> tuple[Address, ...]:
    """The members that `options` name. Raises `Invalid` for what cannot work, or would send secrets over a network in the clear."""
    if not options.endpoints:
        raise Invalid(f"[store] endpoints is empty; name etcd's members, {_EXAMPLE}.")
    secure = bool(options.ca_file)
    if not secure and (options.cert_file or options.key_file):
        raise Invalid(
            "[store] cert_file and key_file need ca_file; name the authority that signed etcd's certificates."
        )
    if bool(options.cert_file) != bool(options.key_file):
        raise Invalid("[store] cert_file and key_file go together; give both or none.")
    found = tuple(_parsed(text.strip(), secure=secure) for text in options.endpoints)
    if len(set(found)) != len(found):
        raise Invalid("[store] endpoints names a member twice; name each one once.")
    exposed = [str(address) for address in found if not address.is_loopback]
    if exposed and not secure:
        raise Invalid(
            f"[store] etcd at {', '.join(exposed)} would be spoken to without TLS, which is allowed on loopback only; "
            "set ca_file, cert_file and key_file."
        )
    return found


def _parsed(text: str, *, secure: bool) -> Address:
    for scheme, fits in (("https://", secure), ("http://", not secure)):
        if text.startswith(scheme):
            if not fits:
                raise Invalid(
                    f"[store] endpoint {text} and ca_file contradict each other: TLS is used when ca_file is set, and only then."
                )
            text = text.removeprefix(scheme).rstrip("/")
    host, separator, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host.strip("[]") if bracketed else host
    if not separator or not host or not port.isdigit() or not 0 < int(port) < 65_536 or (":" in host) != bracketed:
        raise Invalid(f"[store] endpoint {text!r} is not host:port; write it {_EXAMPLE}.")
    if bracketed:
        try:
            ipaddress.IPv6Address(host)
        except ValueError as error:
            raise Invalid(
                f"[store] endpoint {text!r} holds no IPv6 address in its brackets; write it {_EXAMPLE}."
            ) from error
    return Address(host, int(port))
