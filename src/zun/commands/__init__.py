# SPDX-License-Identifier: Apache-2.0
"""Commands of zund for operators, one file per noun. What a command needs is imported when it runs."""
