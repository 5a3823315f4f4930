# SPDX-License-Identifier: Apache-2.0
"""`events`: what happens to containers, as it happens."""

import json
from datetime import datetime
from typing import Any

import click

from zun.cli.client import Client
from zun.cli.containers import find
from zun.cli.invocation import client_of
from zun.cli.output import note
from zun.cli.watch import BEAT, Deadline, Event, follow


@click.command()
@click.option("--container", metavar="CONTAINER", help="Of one container only.")
@click.option("--since", metavar="REVISION", help="Go on after this revision (each JSON event has one).")
@click.option("--all-projects", is_flag=True, help="Of every project; for administrators.")
@click.option("--for", "seconds", type=click.FloatRange(0.1), metavar="SECONDS", help="End after this time.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="json: one object a line.")
@click.pass_context
def events(
    ctx: click.Context,
    container: str | None,
    since: str | None,
    seconds: float | None,
    output: str,
    *,
    all_projects: bool,
) -> None:
    """Follow what happens to containers until Ctrl-C; survives restarts of the service."""
    client = client_of(ctx)
    uuid = find(client, container)["uuid"] if container else None
    teller = _Teller()
    if output == "text":
        teller.learn(client, all_projects=all_projects)
    stream = follow(client, container=uuid, all_projects=all_projects, since=since, deadline=Deadline(seconds))
    for event in stream:
        if event.kind in (BEAT, "ready"):
            continue
        if output == "json":
            line = {"event": event.kind, "revision": event.revision or event.data.get("revision"), **event.data}
            click.echo(json.dumps(line, ensure_ascii=False))
        elif event.kind == "reset":
            note("(some events are lost: the service no longer knows them; going on from now)")
            teller.learn(client, all_projects=all_projects)
        else:
            told = teller.tell(event)
            if told:
                click.echo(f"{datetime.now().astimezone():%H:%M:%S}  {told}")


class _Teller:
    """Turns views into sentences, by comparing them with what was last seen of the container."""

    def __init__(self) -> None:
        self._last: dict[str, dict[str, Any]] = {}

    def learn(self, client: Client, *, all_projects: bool) -> None:
        """How containers are now."""
        query = {"all_projects": True} if all_projects else None
        self._last = {item["uuid"]: item for item in client.items("/v1/containers", "containers", query)}

    def tell(self, event: Event) -> str:
        """One line; empty when nothing that matters to people changed."""
        if event.kind == "deleted":
            known = self._last.pop(event.data["uuid"], None)
            return f"{known['name'] if known else event.data['uuid']}  removed"
        now = event.data["container"]
        before = self._last.get(now["uuid"])
        self._last[now["uuid"]] = now
        return f"{now['name']}  {_difference(before, now)}" if before is None or _difference(before, now) else ""


_QUIET = frozenset({"updated_at", "status_detail", "links", "status", "status_reason", "task_state"})


def _difference(before: dict[str, Any] | None, now: dict[str, Any]) -> str:
    if before is None:
        return f"{now['status']} ({now['image']})"
    parts = []
    if before["status"] != now["status"]:
        parts.append(f"{before['status']} → {now['status']}")
    if now.get("task_state") and before.get("task_state") != now["task_state"]:
        parts.append(f"{now['task_state'].replace('_', ' ')} …")
    if now["status"] == "Stopped" and before["status"] != "Stopped" and now.get("exit_code") is not None:
        parts.append(f"exit code {now['exit_code']}")
    if now.get("status_reason") and before.get("status_reason") != now["status_reason"]:
        parts.append(now["status_reason"])
    if not parts:
        changed = [key for key in now if key not in _QUIET and before.get(key) != now[key]]
        parts = [f"{key}: {now[key]}" for key in changed]
    return ", ".join(parts)
