# SPDX-License-Identifier: Apache-2.0
"""Why a member cannot be connected to, in words an operator can act on.

gRPC reports most failures of a handshake as one code and a text that changes between versions. So when it failed, the same
handshake is made once more with the standard library, whose errors are precise.
"""

import asyncio
import socket
import ssl
from datetime import UTC, datetime

from zun.base.clock import Clock
from zun.store.etcd.address import Address
from zun.store.etcd.tls import Credentials

_SECONDS = 2.0
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"  # RFC 9113 §3.4, with empty settings
_SETTINGS = 4
_COULD_HAVE = "broke the connection, but would take one now; try again."

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_NAME, _WRONG_ADDRESS = 62, 64

Reason = tuple[str, bool]
"""What is wrong, as a phrase with the member for its subject, and whether it lasts until somebody changes something."""


async def why_not_connected(address: Address, credentials: Credentials | None, clock: Clock) -> Reason:
    """The reason, found by trying once more; bounded by a few seconds."""
    try:
        async with asyncio.timeout(_SECONDS):
            if credentials is None:
                return await _without_tls(address)
            return await _with_tls(address, credentials, clock)
    except TimeoutError:
        return "does not answer; check that it runs, and firewalls on the way.", False
    except socket.gaierror as error:
        return f"cannot be found ({error.strerror}); check the name, and the resolver.", False
    except ConnectionRefusedError:
        return (
            "refuses connections; check that etcd (for a node: the gate) runs there and listens on this address.",
            False,
        )
    except OSError as error:
        return (
            f"cannot be reached ({error.strerror or error}); check that etcd (for a node: the gate) runs there.",
            False,
        )


async def _without_tls(address: Address) -> Reason:
    answer = await _answer_to_plain(address)
    if _is_http2(answer):
        return _COULD_HAVE, False
    if await _speaks_tls(address):
        return "expects TLS; set [store] ca_file, cert_file and key_file.", True
    if answer:
        return "answers, but is no etcd; check host and port.", True
    return "ends connections at once; check that etcd (for a node: the gate) runs there.", False


async def _with_tls(address: Address, credentials: Credentials, clock: Clock) -> Reason:
    try:
        answer = await _answer(address, _context(credentials))
    except ssl.SSLCertVerificationError as error:
        return _distrusted(error, clock), True
    except ssl.SSLError as error:
        return await _refused(address, error.reason)
    except ConnectionResetError:
        return await _refused(address, None)
    return (_COULD_HAVE, False) if answer else await _refused(address, None)


def _distrusted(error: ssl.SSLCertVerificationError, clock: Clock) -> str:
    """We do not accept the member's certificate."""
    now = f"{datetime.fromtimestamp(clock.now(), UTC):%Y-%m-%d %H:%M} UTC"
    if error.verify_code == _EXPIRED:
        return (
            f"shows a certificate that has expired, by this machine's clock ({now}); issue a new one, or set the clock."
        )
    if error.verify_code == _NOT_YET_VALID:
        return f"shows a certificate that is not valid yet, by this machine's clock ({now}); set the clocks."
    if error.verify_code in (_WRONG_NAME, _WRONG_ADDRESS):
        return "shows a certificate for other names; use one of those, or issue a certificate that names this host too."
    return f"shows a certificate that the authority in [store] ca_file did not sign ({error.verify_message}); check ca_file."


async def _refused(address: Address, alert: str | None) -> Reason:
    """The member ended the handshake, or does not speak TLS at all."""
    if _is_http2(await _answer_to_plain(address)):
        return "does not speak TLS; turn it on there, or clear [store] ca_file (on loopback only).", True
    said = f" ({alert})" if alert else ""
    reason = (
        f"refuses this client's certificate{said}; check that [store] cert_file is set, signed by the authority that etcd "
        "trusts, in date by etcd's clock, and allowed for clients."
    )
    return reason, alert is not None


def _is_http2(answer: bytes) -> bool:
    return len(answer) > 3 and answer[3] == _SETTINGS


async def _answer_to_plain(address: Address) -> bytes:
    try:
        return await _answer(address, None)
    except ConnectionResetError:
        return b""


async def _speaks_tls(address: Address) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent; only whether there is a handshake is of interest
    try:
        _, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    except OSError:  # ssl.SSLError is one
        return False
    writer.transport.abort()
    return True


async def _answer(address: Address, context: ssl.SSLContext | None) -> bytes:
    """What comes back after an HTTP/2 greeting: nothing when the other side hangs up."""
    reader, writer = await asyncio.open_connection(
        address.host, address.port, ssl=context, server_hostname=address.host if context else None
    )
    try:
        writer.write(_PREFACE)
        await writer.drain()
        return await reader.read(64)
    finally:
        writer.transport.abort()


def _context(credentials: Credentials) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=credentials.ca.decode())
    context.set_alpn_protocols(["h2"])
    if credentials.cert_file is not None:
        context.load_cert_chain(credentials.cert_file, credentials.key_file)
    return context
