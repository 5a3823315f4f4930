# SPDX-License-Identifier: Apache-2.0
"""Makes `tests/` importable, so that areas can share the machinery in `tests/support/`."""
