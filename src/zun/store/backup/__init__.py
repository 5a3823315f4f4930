# SPDX-License-Identifier: Apache-2.0
"""The whole state of an installation in one file, and back into a store of any kind (docs/decisions/0042-a-restored-store-is-another-store.md)."""
