# SPDX-License-Identifier: Apache-2.0
"""Certificates and accounts of nodes, kept by the leader: next certificates are signed, and accounts agree with records."""
