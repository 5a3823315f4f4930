# SPDX-License-Identifier: Apache-2.0
"""One node: makes its inbox true and reports what it sees."""
