# SPDX-License-Identifier: Apache-2.0
"""What may pass: who a sandbox may say it is, which networks reach which, published ports. Two nftables tables named `zun`, ours alone."""
