# SPDX-License-Identifier: Apache-2.0
"""What ports of nodes may be asked for. Which of them are free the leader knows."""

from zun.model.attachments import PublishedPort
from zun.model.caller import Caller
from zun.model.errors import Invalid
from zun.policy.enforcer import Policy
from zun.services.options import ContainerOptions


class Publishable:
    """The rules of one installation."""

    def __init__(self, policy: Policy, options: ContainerOptions) -> None:
        self._policy = policy
        self._open = options.open_ports()
        self._closed = options.closed_ports()

    def check(self, caller: Caller, published: list[PublishedPort], where: str) -> None:
        """Raises `Denied` for who may publish nothing, `Invalid` for a port that nobody may; `where` begins that sentence."""
        if not published:
            return
        self._policy.authorize(caller, "container:create:published_ports", project_id=caller.project_id)
        if not len(self._open):
            raise Invalid(f"{where}: containers publish no ports here; leave them out.")
        for port in published:
            if port.host_port and (port.host_port not in self._open or port.host_port in self._closed):
                but = f" but {self._closed}" if len(self._closed) else ""
                raise Invalid(
                    f"{where}: port {port.host_port} of a host cannot be published; choose one of {self._open}{but}, or none, and you get one that is free."
                )
