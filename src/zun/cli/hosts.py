# SPDX-License-Identifier: Apache-2.0
"""`hosts` and `zones`: where containers run."""

from urllib.parse import quote

import click

from zun.cli import output as printing
from zun.cli.invocation import client_of, output_option
from zun.cli.words import mebibytes


@click.command()
@click.argument("host", required=False)
@output_option
@click.pass_context
def hosts(ctx: click.Context, host: str | None, output: str) -> None:
    """List the machines that run containers, or show HOST; for administrators."""
    client = client_of(ctx)
    if host is not None:
        found = client.get(f"/v1/hosts/{quote(host, safe='')}")
        if not printing.show(found, output):
            printing.details({key: value for key, value in found.items() if key != "links"})
        return
    every = client.items("/v1/hosts", "hosts")
    if printing.show(every, output):
        return
    rows = [
        [
            item["hostname"],
            item["total_containers"],
            f"{item['cpu_used']:g} of {item['cpus']}",
            f"{mebibytes(item['mem_used'])} of {mebibytes(item['mem_total'])}",
            item["os"],
            item["runtimes"],
        ]
        for item in every
    ]
    printing.table(["HOST", "CONTAINERS", "CPUS CLAIMED", "MEMORY CLAIMED", "SYSTEM", "RUNTIMES"], rows)


@click.command()
@output_option
@click.pass_context
def zones(ctx: click.Context, output: str) -> None:
    """List availability zones."""
    found = client_of(ctx).get("/v1/availability_zones")["availability_zones"]
    if not printing.show(found, output):
        printing.table(["ZONE"], [[item["availability_zone"]] for item in found])
