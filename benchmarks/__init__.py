# SPDX-License-Identifier: Apache-2.0
"""Measurements: `python -m benchmarks` runs all, prints one table and writes docs/benchmarks.md."""
