# SPDX-License-Identifier: Apache-2.0
"""Plugging sandboxes into networks: `zun-cni`, the executable that engines run, and the daemon that does its work.

`executable` is copied into an engine's folder of plugins by `installing` and asks `server` over loopback; `sandboxes` decides, with
`journal` as its memory; `binding` and `bridges` change the kernel's links over `netlink`, `firewall/` its packet filter.
"""
