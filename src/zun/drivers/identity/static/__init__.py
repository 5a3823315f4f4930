# SPDX-License-Identifier: Apache-2.0
"""Identity without a server: tokens in a file."""
