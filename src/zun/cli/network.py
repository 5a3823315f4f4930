# SPDX-License-Identifier: Apache-2.0
"""`network`: networks of the service, and containers on networks."""

from typing import Any
from urllib.parse import quote

import click

from zun.cli import output as printing
from zun.cli.client import container_path
from zun.cli.containers import act, find, finish
from zun.cli.invocation import client_of, container_argument, delete_each, output_option
from zun.cli.lifecycle import waiting_options


@click.group()
def network() -> None:
    """Networks, and plugging containers into them."""


@network.command()
@container_argument
@click.argument("name", metavar="NETWORK")
@click.option("--ip", metavar="ADDRESS", help="A fixed address.")
@waiting_options
@click.pass_context
def attach(ctx: click.Context, container: str, name: str, ip: str | None, *, wait: bool, patience: float) -> None:
    """Plug a container into a network."""
    client = client_of(ctx)
    found = find(client, container)
    request_id = act(client, found, "network_attach", {"network": name, "fixed_ip": ip})
    if wait:
        finish(client, found, request_id, patience)
    click.echo(found["name"])


@network.command()
@container_argument
@click.argument("name", metavar="NETWORK")
@waiting_options
@click.pass_context
def detach(ctx: click.Context, container: str, name: str, *, wait: bool, patience: float) -> None:
    """Unplug a container from a network."""
    client = client_of(ctx)
    found = find(client, container)
    request_id = act(client, found, "network_detach", {"network": name})
    if wait:
        finish(client, found, request_id, patience)
    click.echo(found["name"])


@network.command()
@click.argument("name")
@click.option(
    "--subnet",
    "subnets",
    metavar="CIDR",
    multiple=True,
    required=True,
    help="Its addresses; once for IPv4, once for IPv6.",
)
@click.option(
    "--gateway",
    "gateways",
    metavar="ADDRESS|none",
    multiple=True,
    help="The way out, instead of a subnet's first address.",
)
@click.option(
    "--range", "ranges", metavar="FIRST-LAST", multiple=True, help="Addresses that containers get, instead of all."
)
@click.option("--mtu", type=int, help="The largest packet, in bytes.")
@click.option("--shared", is_flag=True, help="For the containers of every project.")
@click.option("--project", metavar="ID", help="Whose containers may be on it; your own project's when absent.")
@output_option
@click.pass_context
def create(
    ctx: click.Context,
    /,
    name: str,
    output: str,
    *,
    subnets: tuple[str, ...],
    gateways: tuple[str, ...],
    ranges: tuple[str, ...],
    mtu: int | None,
    shared: bool,
    project: str | None,
) -> None:
    """Make a network of the service; for administrators."""
    told = {"name": name, "mtu": mtu, "shared": shared or None, "project_id": project}
    body: dict[str, Any] = {key: value for key, value in told.items() if value is not None}
    body["subnets"] = subnets_of(subnets, gateways, ranges)
    _print(client_of(ctx).request("POST", "/v1/networks", body=body), output)


@network.command()
@click.argument("name")
@output_option
@click.pass_context
def show(ctx: click.Context, name: str, output: str) -> None:
    """Show a network of the service."""
    _print(client_of(ctx).get(_path(name)), output)


@network.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.pass_context
def delete(ctx: click.Context, names: tuple[str, ...]) -> int:
    """Remove networks that no container is on; for administrators."""
    return delete_each(ctx, names, _path)


@network.command("list")
@click.argument("container", required=False)
@output_option
@click.pass_context
def list_(ctx: click.Context, container: str | None, output: str) -> None:
    """Show the networks of the service; with a container those it is on, and its addresses there."""
    client = client_of(ctx)
    if container is None:
        own = client.get("/v1/networks")["networks"]
        if not printing.show(own, output):
            rows = [
                [one["name"], _cidrs(one), "all" if one["shared"] else one["project_id"], one["uuid"]] for one in own
            ]
            printing.table(["NAME", "SUBNETS", "PROJECT", "ID"], rows)
        return
    found = client.get(container_path(find(client, container)["uuid"], "network_list"))["networks"]
    if not printing.show(found, output):
        rows = [[item["net_id"], [ip["ip_address"] for ip in item["fixed_ips"]], item.get("port_id")] for item in found]
        printing.table(["NETWORK", "ADDRESSES", "PORT"], rows)


def subnets_of(cidrs: tuple[str, ...], gateways: tuple[str, ...], ranges: tuple[str, ...]) -> list[dict[str, Any]]:
    """The subnets of a request. A gateway or range belongs to the subnet of its IP version; `none` to every subnet that has no other."""
    found = []
    for cidr in cidrs:
        subnet: dict[str, Any] = {"cidr": cidr}
        own = [gateway for gateway in gateways if gateway != "none" and _version(gateway) == _version(cidr)]
        if own or "none" in gateways:
            subnet["gateway"] = own[0] if own else ""
        pieces = [one.partition("-") for one in ranges if _version(one) == _version(cidr)]
        if pieces:
            subnet["ranges"] = [{"start": start.strip(), "end": end.strip()} for start, _, end in pieces]
        found.append(subnet)
    return found


def _version(text: str) -> int:
    return 6 if ":" in text else 4


def _path(name: str) -> str:
    return f"/v1/networks/{quote(name, safe='')}"


def _cidrs(network: dict[str, Any]) -> list[str]:
    return [subnet["cidr"] for subnet in network["subnets"]]


def _print(found: dict[str, Any], output: str) -> None:
    if not printing.show(found, output):
        shown = {key: value for key, value in found.items() if key not in {"network_id", "neutron_net_id", "subnets"}}
        for subnet in found["subnets"]:
            ranges = ", ".join(f"{one['start']}-{one['end']}" for one in subnet["ranges"])
            shown[f"subnet {subnet['cidr']}"] = f"gateway {subnet['gateway'] or 'none'}, gives out {ranges}"
        printing.details(shown)
