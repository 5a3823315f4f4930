# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the installation, and what to do about it: facts are gathered once, within a bounded time, and judged by pure checks."""
