# SPDX-License-Identifier: Apache-2.0
"""Disk with a bound."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class DiskFilter:
    """A bound needs an engine that can keep it, and room."""

    words = "not enough disk, or no way to bound it"

    def applies(self, request: Request) -> bool:
        """When a bound was asked for."""
        return request.disk_gib > 0

    def check(self, request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return node.facts.disk_quota and node.free_disk_gib >= request.disk_gib

    def explain(self, request: Request, refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        able = [node.free_disk_gib for node in refused if node.facts.disk_quota]
        if not able:
            return "its engine cannot bound the disk of a container"
        return f"not enough disk ({request.disk_gib} GiB asked, at most {max(0, *able)} GiB free)"
