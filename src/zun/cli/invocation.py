# SPDX-License-Identifier: Apache-2.0
"""What every command shares: the client made from the global options, arguments that name containers, several at a time."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from zun.cli.access import find_access
from zun.cli.client import Client
from zun.cli.failures import Failure

F = TypeVar("F", bound=Callable[..., Any])


def client_of(ctx: click.Context) -> Client:
    """The client for this run; it is closed when the command ends."""
    settings: dict[str, Any] = ctx.find_root().obj
    given = settings.get("client")
    if isinstance(given, Client):
        return given
    access = find_access(url=settings["url"], token=settings["token"], cloud=settings["cloud"])
    client = Client(access, debug=settings["debug"])
    settings["client"] = client
    ctx.find_root().call_on_close(client.close)
    return client


class ContainerName(click.ParamType[str]):
    """A container's name, uuid or the beginning of its uuid; the shell completes names."""

    name = "container"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:  # noqa: ARG002
        """Names that begin so; nothing when the service cannot be asked."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only for completion

        root = ctx.find_root().params
        ctx.find_root().obj = {
            "url": root.get("url"), "token": root.get("token"), "cloud": root.get("os_cloud"), "debug": False,
        }  # fmt: skip
        try:
            found = client_of(ctx).get("/v1/containers")["containers"]
        except Failure:
            return []
        return [CompletionItem(item["name"]) for item in found if item["name"].startswith(incomplete)]


def container_argument(function: F) -> F:
    """One container."""
    return click.argument("container", type=ContainerName(), metavar="CONTAINER")(function)


def containers_argument(function: F) -> F:
    """One or more containers."""
    argument = click.argument("containers", type=ContainerName(), metavar="CONTAINER...", nargs=-1, required=True)
    return argument(function)


def output_option(function: F) -> F:
    """`-o table|json|yaml`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="How to print.",
    )(function)


def delete_each(ctx: click.Context, idents: Iterable[str], path: Callable[[str], str]) -> int:
    """DELETE what lies at each `path`, and print what is gone. Returns the exit code."""
    client, several = client_of(ctx), Several()
    for ident in idents:
        with several.one(ident):
            client.send("DELETE", path(ident))
            click.echo(ident)
    return several.exit_code


class Several:
    """Does a thing to several objects: goes on after a failure, reports each, remembers the first exit code."""

    def __init__(self) -> None:
        self.exit_code = 0

    @contextmanager
    def one(self, ident: str) -> Iterator[None]:
        """What is done to `ident`."""
        try:
            yield
        except Failure as failure:
            named = failure.message if ident in failure.message else f"{ident}: {failure.message}"
            print(f"zunctl: {named}", file=sys.stderr)
            self.exit_code = self.exit_code or failure.exit_code
