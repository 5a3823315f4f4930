# SPDX-License-Identifier: Apache-2.0
"""`doctor`: what is wrong with the installation, and what to do; for administrators."""

from typing import Any

import click

from zun.cli import output as printing
from zun.cli.failures import REFUSED
from zun.cli.invocation import client_of, output_option

_ASKING_FOR_SOMETHING = frozenset({"warning", "error"})


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Also what is well.")
@output_option
@click.pass_context
def doctor(ctx: click.Context, output: str, *, everything: bool) -> int:
    """Look at the store, controllers, nodes, clocks, certificates, versions, quotas and containers, and advise.

    Ends with 1 when something does not work (error), else with 0.
    """
    found = client_of(ctx).get("/v1/doctor")
    findings = found["findings"]
    code = REFUSED if any(one["severity"] == "error" for one in findings) else 0
    if printing.show(found, output):
        return code
    shown = [one for one in findings if everything or one["severity"] != "ok"]
    for one in shown:
        click.echo(_line(one))
        if one["advice"]:
            click.echo(f"         {one['advice']}")
    wrong = sum(1 for one in findings if one["severity"] in _ASKING_FOR_SOMETHING)
    well = sum(1 for one in findings if one["severity"] == "ok")
    printing.note(f"{wrong} to look after, {well} well" + ("" if everything else " (-a shows them)"))
    return code


def _line(one: dict[str, Any]) -> str:
    return f"{one['severity'].ljust(7)}  {one['about']}: {one['what']}"
