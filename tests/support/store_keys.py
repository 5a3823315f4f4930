# SPDX-License-Identifier: Apache-2.0
"""What is in a store past the service: its keys, and which of them are there without any container."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

BELONGS = re.compile(
    r"/zun/v/(node/[^/]+|out/[^/]+/(info|alive|life)|q/[^/]+|limit/.+|a/.+|lead/[^/]+|schema|touched/.+|token/[^/]+|proc/[^/]+/[^/]+|name/node-number/\d+)"
)
"""What may be in the store when there is no container: nodes, limits, history, leaders."""


def embedded_keys(state_dir: Path) -> list[str]:
    """All keys of an embedded store, whose service may be at work."""
    with closing(sqlite3.connect(f"file:{state_dir / 'state.db'}?mode=ro", uri=True, timeout=30)) as database:
        return [key.decode() for (key,) in database.execute("SELECT key FROM current")]
