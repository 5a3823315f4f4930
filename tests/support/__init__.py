# SPDX-License-Identifier: Apache-2.0
"""Machinery that several areas' tests share."""
