# SPDX-License-Identifier: Apache-2.0
"""A container's action history, also after the container is gone (by its uuid)."""

from typing import Any

from starlette.responses import Response

from zun.api import responses
from zun.api.requests import Call
from zun.base.timestamps import iso
from zun.policy.enforcer import Policy
from zun.services.containers import ActionView, ContainerService

EVENTS_RULE = "container:action:events"


class ContainerHistoryHandlers:
    """`/v1/containers/{ident}/container_actions`."""

    def __init__(self, containers: ContainerService, policy: Policy) -> None:
        self._containers = containers
        self._policy = policy

    async def list(self, call: Call) -> Response:
        """All that was asked of it, newest first."""
        actions = await self._containers.actions(call.context, call.params["ident"])
        return responses.json({"containerActions": [_line(action) for action in actions]})

    async def show(self, call: Call) -> Response:
        """One action with its steps."""
        action = await self._containers.action(call.context, call.params["ident"], call.params["request_id"])
        detailed = self._policy.allows(call.caller, EVENTS_RULE, project_id=action.project_id)
        events = [
            {
                "event": event.event,
                "start_time": iso(event.start_time),
                "finish_time": iso(event.finish_time),
                "result": event.result,
                "traceback": event.detail if detailed else None,
            }
            for event in action.events
        ]
        return responses.json(_line(action) | {"events": events})


def _line(action: ActionView) -> dict[str, Any]:
    return {
        "action": action.action,
        "container_uuid": action.container_uuid,
        "request_id": action.request_id,
        "user_id": action.user_id,
        "project_id": action.project_id,
        "start_time": iso(action.start_time),
        "finish_time": iso(action.finish_time),
        "message": action.message,
        "why": action.why,
        "timings": action.timings,
    }
