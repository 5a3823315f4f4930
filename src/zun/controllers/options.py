# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about the controllers."""

from typing import Annotated

import msgspec

from zun.model.sandboxes import Sandboxes


class ControllerOptions(msgspec.Struct, frozen=True):
    """The control loops, one of which leads."""

    lease_ttl_seconds: Annotated[
        int,
        msgspec.Meta(
            description="How long a controller that died is still taken for the leader, in seconds.", ge=2, le=300
        ),
    ] = 10
    heal_delay_seconds: Annotated[
        float,
        msgspec.Meta(
            description="After so long without its node a container with auto_heal is placed elsewhere; it stops itself a little earlier. "
            "Longer than the outages of the control plane that containers are to survive. Fixed when a container is placed.",
            ge=5,
            le=86400,
        ),
    ] = 60.0
    sandboxed_runtimes: Annotated[
        list[str],
        msgspec.Meta(
            description="Runtimes that shut a container off from the kernel of its host, such as runsc or kata; the preferred one first. API servers and "
            "controllers need the same."
        ),
    ] = []
    sandboxed_projects: Annotated[
        list[str],
        msgspec.Meta(
            description="Projects (ids, or * for all) whose new containers must run under one of sandboxed_runtimes; those that name none get the first."
        ),
    ] = []
    drain_at_once: Annotated[
        int,
        msgspec.Meta(
            description="So many containers of a drained node are on their way at the same time.", ge=1, le=1000
        ),
    ] = 4
    purge_interval_seconds: Annotated[
        float,
        msgspec.Meta(
            description="How often the history of deleted containers is searched for what is too old, in seconds.", ge=1
        ),
    ] = 600.0

    def __post_init__(self) -> None:
        """Raises `ValueError` when a sandbox is demanded and none is known."""
        if self.sandboxed_projects and not self.sandboxed_runtimes:
            raise ValueError("sandboxed_projects needs sandboxed_runtimes, such as runsc")

    def sandboxes(self) -> Sandboxes:
        """The same as what containers are checked with."""
        return Sandboxes(tuple(self.sandboxed_runtimes), frozenset(self.sandboxed_projects))
