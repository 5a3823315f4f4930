# SPDX-License-Identifier: Apache-2.0
"""Networks as records of Neutron's: there is no Neutron here, and each call says so. Containers use their engine's networks."""

from starlette.responses import Response

from zun.api.requests import Call
from zun.model.errors import NotFound, Unsupported
from zun.policy.enforcer import Policy


class NetworkHandlers:
    """`/v1/networks`."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def create(self, call: Call) -> Response:
        """Refused: there is nothing to map to."""
        self._policy.authorize(call.caller, "network:create")
        raise Unsupported(
            "Networks cannot be added here: Neutron is not configured. Make a network with the container engine of the host "
            "and name it in 'nets' when you create a container."
        )

    async def delete(self, call: Call) -> Response:
        """There never is such a network."""
        self._policy.authorize(call.caller, "network:delete")
        raise NotFound(
            f"There is no network {call.params['ident']}: Neutron is not configured in this installation.",
            code="network-not-found",
        )
