# SPDX-License-Identifier: Apache-2.0
"""Measurements: `python -m benchmarks` runs all, prints one table and writes docs/benchmarks.md."""

import sys
from pathlib import Path

# The tests' machinery is used here, too, and uses what brings up machines.
sys.path[:0] = [str(Path(__file__).resolve().parent.parent / name) for name in ("tests", "scripts")]
