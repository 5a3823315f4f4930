# SPDX-License-Identifier: Apache-2.0
"""`port-forward`: ports of this machine that lead into a container, wherever it runs, until Ctrl-C."""

import asyncio
import re
from urllib.parse import quote

import click

from zun.cli.client import Client, container_path
from zun.cli.containers import find
from zun.cli.failures import Failure
from zun.cli.forwarding import Forward, Forwarding
from zun.cli.invocation import ContainerName, client_of

_PORTS = re.compile(r"(?:(?P<local>\d{0,5}):)?(?P<remote>\d{1,5})")
_UPGRADE_REQUIRED = 426


@click.command("port-forward")
@click.option("--capsule", metavar="NAME", help="Into a capsule instead of a container.")
@click.option(
    "--address",
    "addresses",
    metavar="ADDRESS",
    multiple=True,
    default=("127.0.0.1",),
    show_default=True,
    help="Listen there; with another than loopback, whoever reaches this machine gets in. Repeatable.",
)
@click.argument("words", type=ContainerName(), metavar="CONTAINER [LOCAL:]REMOTE...", nargs=-1, required=True)
@click.pass_context
def port_forward(ctx: click.Context, words: tuple[str, ...], capsule: str | None, addresses: tuple[str, ...]) -> int:
    """Listen on ports of this machine, and carry each connection to a TCP port inside a container.

    The port need not be published; it is reached on the container's own loopback. LOCAL is REMOTE's number when absent, and any free port
    when it is 0 or empty (:80). Ctrl-C ends it.
    """
    ports = [_ports(word) for word in (words if capsule else words[1:])]
    if not ports:
        raise click.UsageError("Name at least one port, as in `zunctl port-forward web 8080:80`.")
    client = client_of(ctx)
    path = _capsule_path(client, capsule) if capsule else _container_path(client, words[0])
    _check(client, path, ports[0])  # the service would say the same of each
    return asyncio.run(Forwarding(client, path, ports, addresses).run())


def _ports(word: str) -> Forward:
    found = _PORTS.fullmatch(word)
    if found is not None:
        remote, given = int(found["remote"]), found["local"]
        local = remote if given is None else int(given or 0)
        if 1 <= remote <= 65535 and local <= 65535:
            return Forward(local, remote)
    raise click.UsageError(f"{word!r} is no [LOCAL:]REMOTE; write 80, 8080:80 or :80, with ports up to 65535.")


def _container_path(client: Client, ident: str) -> str:
    return container_path(find(client, ident)["uuid"], "port_forward")


def _capsule_path(client: Client, ident: str) -> str:
    uuid = client.get(f"/v1/capsules/{quote(ident, safe='')}")["uuid"]
    return f"/v1/capsules/{uuid}/port_forward"


def _check(client: Client, path: str, port: Forward) -> None:
    """Raises `Failure` when it is clear beforehand that nothing will come through; whether something listens is not asked."""
    try:
        client.get(path, {"port": port.remote})
    except Failure as failure:
        if failure.status != _UPGRADE_REQUIRED:
            raise
