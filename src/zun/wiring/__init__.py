# SPDX-License-Identifier: Apache-2.0
"""The only place that picks implementations: settings in, a running process out.

A `role_*` module per kind of process says what lives in it; the others each pick or build one thing, and import what
they pick only then. `life` runs a role from its start to its graceful stop.
"""
