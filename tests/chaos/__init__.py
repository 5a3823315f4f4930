# SPDX-License-Identifier: Apache-2.0
"""Accidents of every kind on a whole cluster under load, and a judge who looks at what is left (docs/decisions/0038)."""
