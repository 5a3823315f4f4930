# SPDX-License-Identifier: Apache-2.0
"""The port `zun.services.nodelive` across machines: a node's stream server, and the API's client of it, over gRPC with mutual TLS."""
