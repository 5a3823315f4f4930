# SPDX-License-Identifier: Apache-2.0
"""`actions`: what was done to a container, by which steps, and how long each took."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from zun.cli import output as printing
from zun.cli.client import Client, container_path
from zun.cli.containers import find
from zun.cli.failures import NOT_FOUND, Failure
from zun.cli.invocation import client_of, container_argument, output_option
from zun.cli.words import age, instant, milliseconds


@click.command()
@container_argument
@click.argument("request_id", required=False)
@output_option
@click.pass_context
def actions(ctx: click.Context, container: str, request_id: str | None, output: str) -> None:
    """Show what was done to a container, or (with REQUEST_ID, or `last`) one action with its steps and times.

    A container that is gone is found by its full uuid.
    """
    client = client_of(ctx)
    path = container_path(_uuid(client, container), "container_actions")
    if request_id is None or request_id == "last":
        found = client.get(path)["containerActions"]
        if request_id is None:
            if not printing.show(found, output):
                _print_list(found)
            return
        if not found:
            raise Failure(f"Nothing was done to {container} yet.", NOT_FOUND)
        request_id = str(found[0]["request_id"])
    action = client.get(f"{path}/{quote(request_id, safe='')}")
    if not printing.show(action, output):
        _print_one(action)


def _uuid(client: Client, ident: str) -> str:
    try:
        return str(find(client, ident)["uuid"])
    except Failure as failure:
        if failure.exit_code == NOT_FOUND and len(ident) >= 32:
            return ident
        raise


def _print_list(found: list[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    rows = [
        [item["action"], age(item["start_time"], now), _took(item), item.get("message"), item["request_id"]]
        for item in found
    ]
    printing.table(["ACTION", "WHEN", "TOOK", "MESSAGE", "REQUEST"], rows)


def _took(item: dict[str, Any]) -> str:
    start, finish = instant(item["start_time"]), instant(item.get("finish_time"))
    if start is None or finish is None:
        return "not done"
    return milliseconds((finish - start).total_seconds() * 1000)


def _print_one(action: dict[str, Any]) -> None:
    printing.details(
        {
            "action": action["action"],
            "request": action["request_id"],
            "started": action["start_time"],
            "took": _took(action),
            "message": action.get("message"),
            "why": action.get("why"),
        }
    )
    if action.get("timings"):
        click.echo()
        printing.table(["STEP", "TOOK"], [[step, milliseconds(value)] for step, value in action["timings"].items()])
    if action.get("events"):
        click.echo()
        rows = [
            [event["event"], event.get("result"), _took(event), event.get("traceback")] for event in action["events"]
        ]
        printing.table(["EVENT", "RESULT", "TOOK", "DETAIL"], rows)
