# SPDX-License-Identifier: Apache-2.0
"""Lets a shared store forget old revisions, so that it does not grow without bound."""
