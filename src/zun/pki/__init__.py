# SPDX-License-Identifier: Apache-2.0
"""Certificates: who is who among the processes of one installation, and how a new machine becomes one of them."""
