# SPDX-License-Identifier: Apache-2.0
"""A fleet on one machine: a real etcd, API servers and controllers as processes, and thousands of simulated nodes in a few more."""
