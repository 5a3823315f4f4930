# SPDX-License-Identifier: Apache-2.0
"""Zun: containers through one API, whatever engine runs them."""

__version__ = "0.1.0"
