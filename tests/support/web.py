# SPDX-License-Identifier: Apache-2.0
"""A page served from a container, asked for on a port of this machine."""

import urllib.error
import urllib.request

SERVES = ["sh", "-c", "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp"]
"""What a container runs that serves the page at port 80."""

_SECONDS = 5.0


def page(port: int) -> bytes | None:
    """The page; None when nobody serves it."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/index.html", timeout=_SECONDS) as answer:
            told: bytes = answer.read()
            return told
    except (urllib.error.URLError, OSError):
        return None
