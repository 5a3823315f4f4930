# SPDX-License-Identifier: Apache-2.0
"""`quota`: limits of projects and what they use of them."""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import click

from zun.cli import output as printing
from zun.cli.client import Client
from zun.cli.failures import USAGE, Failure
from zun.cli.invocation import client_of, output_option

F = TypeVar("F", bound=Callable[..., Any])
_RESOURCES = ("containers", "cpu", "memory", "disk")
_UNITS = {"containers": "", "cpu": "cores", "memory": "MiB", "disk": "GiB"}


def _limits(function: F) -> F:
    """An option for each resource."""
    for resource in reversed(_RESOURCES):
        text = f"At most so many {_UNITS[resource] or resource}; -1: no limit."
        function = click.option(f"--{resource}", type=click.IntRange(-1), help=text)(function)
    return function


@click.group()
def quota() -> None:
    """Limits and usage of a project (yours when none is named)."""


@quota.command()
@click.argument("project", required=False)
@output_option
@click.pass_context
def show(ctx: click.Context, project: str | None, output: str) -> None:
    """Show limits and what is used of them."""
    client = client_of(ctx)
    found = client.get(_path(client, project), {"usages": True})
    if not printing.show(found, output):
        _print(found)


@quota.command("set")
@click.argument("project", required=False)
@_limits
@click.pass_context
def set_(ctx: click.Context, /, project: str | None, **limits: int | None) -> None:
    """Set limits of a project; for administrators."""
    client = client_of(ctx)
    printing.details(client.request("PUT", _path(client, project), body=_given(limits)))


@quota.command()
@click.argument("project", required=False)
@click.pass_context
def unset(ctx: click.Context, project: str | None) -> None:
    """Give a project the default limits again; for administrators."""
    client = client_of(ctx)
    client.send("DELETE", _path(client, project))
    click.echo(project or client.access.project_id)


@quota.command()
@click.argument("project", required=False)
@output_option
@click.pass_context
def defaults(ctx: click.Context, project: str | None, output: str) -> None:
    """Show the limits a project has by default."""
    client = client_of(ctx)
    found = client.get(_path(client, project) + "/defaults")
    if not printing.show(found, output):
        printing.details(found)


@quota.command("class")
@click.argument("name", default="default")
@_limits
@output_option
@click.pass_context
def class_(ctx: click.Context, /, name: str, output: str, **limits: int | None) -> None:
    """Show or set the limits of a class (`default` holds for every project without its own); for administrators."""
    client = client_of(ctx)
    path = f"/v1/quota_classes/{quote(name, safe='')}"
    given = {key: value for key, value in limits.items() if value is not None}
    found = client.request("PUT", path, body=given) if given else client.get(path)
    if not printing.show(found, output):
        printing.details(found)


def _path(client: Client, project: str | None) -> str:
    named = project or client.access.project_id
    if not named:
        raise Failure("Which project? Name it, or set ZUN_PROJECT.", USAGE)
    return f"/v1/quotas/{quote(named, safe='')}"


def _given(limits: dict[str, int | None]) -> dict[str, int]:
    given = {key: value for key, value in limits.items() if value is not None}
    if not given:
        raise click.UsageError("Nothing to set: give --containers, --cpu, --memory or --disk.")
    return given


def _print(found: dict[str, dict[str, Any]]) -> None:
    rows = []
    for resource in _RESOURCES:
        limit = found[resource]["limit"]
        shown = "no limit" if limit == -1 else limit
        rows.append([resource, f"{found[resource]['in_use']:g}", shown, _UNITS[resource]])
    printing.table(["RESOURCE", "USED", "LIMIT", "UNIT"], rows)
