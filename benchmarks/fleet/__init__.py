# SPDX-License-Identifier: Apache-2.0
"""A fleet on one machine: real etcd, API server and controller, and thousands of simulated nodes."""
