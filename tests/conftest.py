# SPDX-License-Identifier: Apache-2.0
"""Makes `tests/` importable, so that areas can share the machinery in `tests/support/`."""

import asyncio

# Else pytest-asyncio asks for "the" event loop before it makes its own, which makes one that nobody closes: a warning, an error here.
asyncio.set_event_loop(None)
