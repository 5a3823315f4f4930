# SPDX-License-Identifier: Apache-2.0
"""libnftables, in this process: commands in nft's own language, each text one transaction.

Starting the `nft` program takes longer than all else that plugging a sandbox in does; the library takes less than a millisecond. It
is the one that `nft` and firewalld are made of, part of Debian's package nftables, and its interface is a few C functions.
"""

import ctypes
from typing import Any

import msgspec

from zun.model.errors import Internal, Unavailable

_LIBRARY = "libnftables.so.1"
_JSON = 1 << 4


class Nftables:
    """One conversation with the packet filter of the namespace it is opened in. Blocks; used by one thread at a time."""

    def __init__(self) -> None:
        """Raises `Unavailable` without the library."""
        try:
            library = ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise Unavailable(f"{_LIBRARY} is not installed; run `apt install nftables`.") from error
        self._library = _declared(library)
        self._context = self._library.nft_ctx_new(0)
        if not self._context:
            raise Unavailable(
                "The kernel's packet filter nftables cannot be used; zund has to run as root, on a kernel that has it."
            )
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def close(self) -> None:
        """Let go of it; rules stay."""
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = None

    def run(self, text: str) -> None:
        """Do all of it or nothing. Raises `Internal` with nft's words."""
        self._run(text, 0)

    def listed(self, family: str, table: str) -> list[dict[str, Any]] | None:
        """A table as nft's JSON has it, or None when there is none. Raises `Internal`."""
        tables = self._decoded(self._run(f"list tables {family}", _JSON))
        if not any(one.get("table", {}).get("name") == table for one in tables):
            return None
        return self._decoded(self._run(f"list table {family} {table}", _JSON))

    @staticmethod
    def _decoded(text: bytes) -> list[dict[str, Any]]:
        return list(msgspec.json.decode(text)["nftables"])

    def _run(self, text: str, flags: int) -> bytes:
        self._library.nft_ctx_output_set_flags(self._context, flags)
        failed = self._library.nft_run_cmd_from_buffer(self._context, text.encode())
        told, complaint = (
            self._library.nft_ctx_get_output_buffer(self._context) or b"",
            self._library.nft_ctx_get_error_buffer(self._context) or b"",
        )
        if failed:
            raise Internal(f"The packet filter refused a change: {complaint.decode(errors='replace').strip()}")
        return bytes(told)


def _declared(library: Any) -> Any:
    context = ctypes.c_void_p
    library.nft_ctx_new.restype = context
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [context]
    library.nft_ctx_output_set_flags.argtypes = [context, ctypes.c_uint]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).restype = ctypes.c_char_p
        getattr(library, name).argtypes = [context]
    library.nft_run_cmd_from_buffer.argtypes = [context, ctypes.c_char_p]
    return library
