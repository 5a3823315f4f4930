# SPDX-License-Identifier: Apache-2.0
"""The gate: where nodes reach the store. It speaks so much of etcd's protocol as `StoreNodeLink` needs, and does what a node may do.

Nothing that a node sends is passed on: each request is read, checked against the node's rights, and done through the store port.
"""
