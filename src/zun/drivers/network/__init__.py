# SPDX-License-Identifier: Apache-2.0
"""Networks of containers: who plugs a sandbox in."""
