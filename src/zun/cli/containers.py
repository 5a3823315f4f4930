# SPDX-License-Identifier: Apache-2.0
"""Containers as people name them, and what their state means for a command."""

import re
from typing import Any

from zun.cli.client import REQUEST_ID, Client, Query, container_path
from zun.cli.failures import NOT_FOUND, REFUSED, Failure
from zun.cli.watch import Container, Deadline, views

SHORT_ID = 12
_BEGINNING = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")
ENDED = frozenset({"Stopped", "Error", "Dead", "Deleted"})


def find(client: Client, ident: str) -> Container:
    """A container by name, uuid, or the beginning of its uuid (4 characters or more). Raises `Failure`."""
    try:
        found: Container = client.get(container_path(ident))
    except Failure as failure:
        if failure.exit_code != NOT_FOUND or not _BEGINNING.fullmatch(ident):
            raise
        return _by_beginning(client, ident, failure)
    return found


def _by_beginning(client: Client, beginning: str, failure: Failure) -> Container:
    found = [item for item in client.items("/v1/containers", "containers") if item["uuid"].startswith(beginning)]
    if len(found) > 1:
        raise Failure(f"{len(found)} containers begin with {beginning}; give more of the id.", REFUSED)
    if not found:
        raise failure
    return found[0]


def ended(container: Container | None) -> bool:
    """Whether its process is over and nothing is about to start it."""
    return container is None or (container["status"] in ENDED and container.get("task_state") is None)


def settled(container: Container | None) -> bool:
    """Whether a container that is being made or started has come to something."""
    if container is None or container["status"] in ENDED:
        return True
    return container["status"] in ("Created", "Running", "Paused") and container.get("task_state") is None


def act(client: Client, container: Container, verb: str, query: Query | None = None, body: object | None = None) -> str:
    """Ask for an action; returns the id by which its history is kept."""
    reply = client.send("POST", container_path(container["uuid"], verb), query=query, body=body)
    return str(reply.headers.get(REQUEST_ID, ""))


def finish(client: Client, container: Container, request_id: str, seconds: float | None) -> dict[str, Any]:
    """Wait until an action is over and return its history. Raises `Failure` with its message when it failed."""
    path = container_path(container["uuid"], "container_actions", request_id)
    action: dict[str, Any] = client.get(path)
    if action.get("finish_time") is None:
        for _ in views(client, container["uuid"], deadline=Deadline(seconds)):
            action = client.get(path)
            if action.get("finish_time") is not None:
                break
        else:
            raise Failure(
                f"{container['name']}: {action['action']} is not done after {seconds:g} seconds;"
                f" `zunctl actions {container['name']}` tells how it goes, --timeout waits longer."
            )
    failed = any(event.get("result") not in ("Success", None) for event in action.get("events") or [])
    if failed or action.get("message"):
        raise Failure(
            f"{container['name']}: {action.get('message') or action['action'] + ' failed.'}"
            f" (`zunctl actions {container['name']} {request_id}`)"
        )
    return action
