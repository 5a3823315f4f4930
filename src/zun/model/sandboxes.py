# SPDX-License-Identifier: Apache-2.0
"""Which containers are shut into a sandbox, and who must be.

What counts is what the wish says and what the operator declared: a node cannot make a runtime a sandbox by reporting it, and the
default of its engine may change under a container.
"""

import msgspec

from zun.model.errors import Denied

EVERY_PROJECT = "*"
"""Among the projects that demand a sandbox: all."""


class Sandboxes(msgspec.Struct, frozen=True):
    """`runtimes` are those that the operator vouches for, the preferred one first; `projects` (ids, or `EVERY_PROJECT`) must use one of them."""

    runtimes: tuple[str, ...] = ()
    projects: frozenset[str] = frozenset()

    def demanded_by(self, project_id: str) -> bool:
        """Whether all containers of this project must be in a sandbox."""
        return project_id in self.projects or EVERY_PROJECT in self.projects

    def runtime_for(self, project_id: str, runtime: str | None, *, privileged: bool) -> str | None:
        """The runtime of a new container that asks for `runtime`: of a project that demands a sandbox, which asks for none, the preferred one.

        Raises `Denied` when such a project asks for another runtime, or for rights over the host, which open any sandbox.
        """
        if not self.demanded_by(project_id):
            return runtime
        if privileged:
            raise Denied("Containers of this project run in a sandbox, and 'privileged' would open it; leave it out.")
        if runtime is None:
            return self.runtimes[0]
        if runtime not in self.runtimes:
            there = ", ".join(self.runtimes)
            raise Denied(
                f"Containers of this project run in a sandbox, which the runtime '{runtime}' is not; leave it out, or choose one of: {there}."
            )
        return runtime


NO_SANDBOXES = Sandboxes()
"""Nothing counts as one, and nobody needs any."""
