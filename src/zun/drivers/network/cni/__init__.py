# SPDX-License-Identifier: Apache-2.0
"""Networks bound by zun-cni: the agent's side. The daemon that binds is `zun.cni`."""
