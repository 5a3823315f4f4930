# SPDX-License-Identifier: Apache-2.0
"""A cluster of machines on one machine: each has a network, a disk, a name and processes of its own, and can be hurt.

Plain Python without third-party modules, for `make cluster` and for the failure tests.
"""
