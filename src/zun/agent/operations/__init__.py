# SPDX-License-Identifier: Apache-2.0
"""What each verb does to a container: one file each, and one table that names them all."""
