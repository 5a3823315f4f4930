# SPDX-License-Identifier: Apache-2.0
"""The engine's own networks: it plugs in what it makes."""
