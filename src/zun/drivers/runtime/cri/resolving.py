# SPDX-License-Identifier: Apache-2.0
"""Which name servers containers are given."""

from pathlib import Path

_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""The second is where systemd keeps the real ones when the first only names its own on loopback."""


def name_servers(configured: str, files: tuple[Path, ...] = _FILES) -> list[str]:
    """Those of the options, else the machine's without those on loopback, which a container cannot reach.

    None at all leaves the choice to the engine.
    """
    told = [server.strip() for server in configured.split(",") if server.strip()]
    for path in files:
        if told:
            break
        told = [server for server in _servers(path) if not server.startswith("127.") and server != "::1"]
    return told


def _servers(path: Path) -> list[str]:
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return []
    return [words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1]
