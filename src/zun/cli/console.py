# SPDX-License-Identifier: Apache-2.0
"""A conversation with a process over a WebSocket (sub-protocol `zun.v1`, docs/api-extensions.md)."""

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from zun.cli.failures import Failure, Lost

PROTOCOL = Subprotocol("zun.v1")
STDIN, STDOUT, STDERR, END, SIZE, END_OF_INPUT = range(6)
OPEN_SECONDS = 20.0


@dataclass(frozen=True)
class Ending:
    """How the process ended; `exit_code` None: not known."""

    exit_code: int | None
    reason: str = ""


class Console:
    """One opened console. One thread reads; any thread may write."""

    def __init__(self, url: str, *, verify: bool | str = True) -> None:
        """Raises `Failure` when it cannot be opened."""
        try:
            self._socket: ClientConnection = connect(
                url,
                subprotocols=[PROTOCOL],
                compression=None,
                max_size=None,
                open_timeout=OPEN_SECONDS,
                ssl=tls(verify=verify) if url.startswith("wss:") else None,
            )
        except (InvalidHandshake, InvalidURI) as error:
            raise Failure(f"The service did not open the console: {error}. Try again.") from error
        except (OSError, TimeoutError) as error:
            raise Lost(f"The console at {url.partition('?')[0]} cannot be reached: {error}. Try again.") from error
        if self._socket.subprotocol != PROTOCOL:
            self._socket.close()
            raise Failure("The service does not speak zun.v1 on consoles; it is older than this zunctl.")
        self.ending: Ending | None = None

    def output(self) -> Iterator[tuple[int, bytes]]:
        """Pieces of output with their channel until the process or the connection ends; then see `ending`."""
        try:
            for message in self._socket:
                if not isinstance(message, bytes) or not message:
                    continue
                if message[0] == END:
                    told = json.loads(message[1:])
                    self.ending = Ending(told.get("exit_code"), told.get("reason") or "")
                    return
                yield message[0], message[1:]
        except ConnectionClosed:
            return  # `ending` stays None: the caller looks at the container

    def write(self, data: bytes) -> None:
        """To its standard input; what comes after its end is dropped."""
        self._send(STDIN, data)

    def end_input(self) -> None:
        """No more input."""
        self._send(END_OF_INPUT, b"")

    def resize(self, columns: int, rows: int) -> None:
        """The terminal's new size."""
        self._send(SIZE, json.dumps({"width": columns, "height": rows}).encode())

    def close(self) -> None:
        """Leave; the process runs on."""
        self._socket.close()

    def _send(self, channel: int, data: bytes) -> None:
        try:
            self._socket.send(bytes([channel]) + data)
        except ConnectionClosed:
            return  # the reading side notices and tells


def tls(*, verify: bool | str) -> ssl.SSLContext:
    """How to speak to a service with TLS: `verify` is a file of authorities, or whether to verify at all."""
    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
