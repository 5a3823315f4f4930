# SPDX-License-Identifier: Apache-2.0
"""Capsules on a node: a sandbox, then init containers one after the other, then the containers, each kept as the capsule's policy says."""
