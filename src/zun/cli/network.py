# SPDX-License-Identifier: Apache-2.0
"""`network`: containers and the networks they are on."""

import click

from zun.cli import output as printing
from zun.cli.client import container_path
from zun.cli.containers import act, find, finish
from zun.cli.invocation import client_of, container_argument, output_option
from zun.cli.lifecycle import waiting_options


@click.group()
def network() -> None:
    """Plug containers into networks."""


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


@network.command("list")
@container_argument
@output_option
@click.pass_context
def list_(ctx: click.Context, container: str, output: str) -> None:
    """Show the networks of a container and its addresses there."""
    client = client_of(ctx)
    found = client.get(container_path(find(client, container)["uuid"], "network_list"))["networks"]
    if not printing.show(found, output):
        rows = [[item["net_id"], [ip["ip_address"] for ip in item["fixed_ips"]], item.get("port_id")] for item in found]
        printing.table(["NETWORK", "ADDRESSES", "PORT"], rows)
