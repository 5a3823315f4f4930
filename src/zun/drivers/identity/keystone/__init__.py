# SPDX-License-Identifier: Apache-2.0
"""Identity by OpenStack's Keystone: tokens of a cloud."""
