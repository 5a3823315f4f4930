# SPDX-License-Identifier: Apache-2.0
"""`ps` and `show`: containers as they are."""

from datetime import UTC, datetime
from typing import Any

import click

from zun.cli import output as printing
from zun.cli.client import Query
from zun.cli.containers import SHORT_ID, find
from zun.cli.invocation import Several, client_of, containers_argument, output_option
from zun.cli.ports import on_one_line
from zun.cli.words import age, instant, mebibytes
from zun.model.status_detail import health_words

_FILTERS = ("name", "image", "status", "host", "project_id", "user_id", "task_state", "memory", "auto_remove")


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Also those that have ended.")
@click.option("-q", "--quiet", is_flag=True, help="Ids only.")
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help=f"By {', '.join(_FILTERS)}.")
@click.option("--all-projects", is_flag=True, help="Of every project; for administrators.")
@click.option("--sort", metavar="KEY[:desc]", help="Sort by a property (default: oldest first).")
@click.option("-n", "--last", type=click.IntRange(1), metavar="N", help="The N newest, ended or not.")
@output_option
@click.pass_context
def ps(
    ctx: click.Context,
    *,
    everything: bool,
    quiet: bool,
    filters: tuple[str, ...],
    all_projects: bool,
    sort: str | None,
    last: int | None,
    output: str,
) -> None:
    """List containers; those that ended only with -a."""
    query = _query(filters, sort, all_projects=all_projects)
    client = client_of(ctx)
    if last:
        newest: Query = {**query, "sort_key": "created_at", "sort_dir": "desc", "limit": last}
        found = client.get("/v1/containers", newest)["containers"]
    else:
        found = client.items("/v1/containers", "containers", query)
    everything = everything or bool(last) or "status" in query
    shown = [item for item in found if everything or item["status"] not in ("Stopped", "Deleted")]
    if quiet:
        for item in shown:
            click.echo(item["uuid"])
        return
    if printing.show(shown, output):
        return
    printing.table(*_columns(shown, all_projects=all_projects))
    if len(shown) < len(found) and printing.on_terminal():
        printing.note(f"({len(found) - len(shown)} ended not shown; -a shows all)")


def _query(filters: tuple[str, ...], sort: str | None, *, all_projects: bool) -> dict[str, str | int | bool | None]:
    query: dict[str, str | int | bool | None] = {"all_projects": True} if all_projects else {}
    for written in filters:
        key, equals, value = written.partition("=")
        if not equals or key not in _FILTERS:
            raise click.UsageError(f"-f {written!r}: write KEY=VALUE with a key out of {', '.join(_FILTERS)}.")
        query[key] = value
    if sort:
        key, _, direction = sort.partition(":")
        query |= {"sort_key": key, "sort_dir": direction or "asc"}
    return query


def _columns(found: list[dict[str, Any]], *, all_projects: bool) -> tuple[list[str], list[list[object]]]:
    now = datetime.now(UTC)
    publishes = any(item.get("published_ports") for item in found)
    headings = ["NAME", "ID", "IMAGE", "STATUS", "ADDRESSES", "CREATED"]
    headings += (["PORTS"] if publishes else []) + (["PROJECT"] if all_projects else [])
    short = SHORT_ID if printing.on_terminal() else None
    rows: list[list[object]] = []
    for item in found:
        row: list[object] = [
            item["name"], item["uuid"][:short], item["image"], _status(item), _addresses(item),
            age(item["created_at"], now),
        ]  # fmt: skip
        row += [on_one_line(item)] if publishes else []
        rows.append(row + ([item["project_id"]] if all_projects else []))
    return headings, rows


def _status(item: dict[str, Any]) -> str:
    detail = (item.get("status_detail") or "").strip().removesuffix(health_words(item.get("health")))
    text = str(item["status"])
    if item.get("task_state"):
        text += f" ({item['task_state'].removeprefix('container_')})"
    elif detail and detail != text:
        text += f" ({detail.lower() if detail.startswith('Up') else detail})"
    return f"{text} [{item['health']}]" if item.get("health") else text


def _addresses(item: dict[str, Any]) -> str:
    return " ".join(entry["addr"] for entries in (item.get("addresses") or {}).values() for entry in entries)


@click.command()
@containers_argument
@output_option
@click.pass_context
def show(ctx: click.Context, containers: tuple[str, ...], output: str) -> int:
    """Show all that is known of containers."""
    client, several = client_of(ctx), Several()
    found = []
    for ident in containers:
        with several.one(ident):
            found.append(find(client, ident))
    if found and not printing.show(found if len(containers) > 1 else found[0], output):
        for place, item in enumerate(found):
            if place:
                click.echo()
            printing.details(_for_people(item))
    return several.exit_code


def _for_people(item: dict[str, Any]) -> dict[str, object]:
    now = datetime.now(UTC)
    shown = {key: value for key, value in item.items() if key not in ("links", "status_detail")}
    for key in ("created_at", "updated_at", "started_at", "finished_at"):
        if instant(item.get(key)):
            shown[key] = f"{item[key]} ({age(item[key], now)})"
    shown["status"] = _status(item)
    shown["memory"] = mebibytes(float(item["memory"])) if item.get("memory") else None
    shown["addresses"] = {
        name: " ".join(entry["addr"] for entry in entries) for name, entries in (item.get("addresses") or {}).items()
    }
    shown["published_ports"] = on_one_line(item)
    first = ("name", "uuid", "status", "status_reason", "task_state", "image", "command", "host", "addresses",
             "published_ports")  # fmt: skip
    return {key: shown[key] for key in (*first, *shown) if key in shown}
