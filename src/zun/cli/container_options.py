# SPDX-License-Identifier: Apache-2.0
"""The options of run, create and update: those that the fields of a container declare, and a few of Docker's spellings
that set only a part of a field."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from zun.model.cli_options import CliOption, container_options
from zun.model.option_texts import health_check

F = TypeVar("F", bound=Callable[..., Any])

_HEALTH = {"health_cmd": "cmd", "health_interval": "interval", "health_timeout": "timeout", "health_retries": "retries"}
_PARTS = (
    click.option("--file", "files", multiple=True, metavar="LOCAL:/PATH", help="Put a local file into the container."),
    click.option("--ip", metavar="ADDRESS", help="A fixed IPv4 address in the (only) network."),
    click.option("--ip6", metavar="ADDRESS", help="A fixed IPv6 address in the (only) network."),
    click.option("--health-cmd", metavar="COMMAND", help="A command that tells whether it is well."),
    click.option("--health-interval", metavar="TIME", help="How often it is asked, such as 30s."),
    click.option("--health-timeout", metavar="TIME", help="How long it may take."),
    click.option("--health-retries", metavar="N", help="How many failures make it unhealthy."),
)


def creation_options(function: F) -> F:
    """Every option of a create request."""
    for part in reversed(_PARTS):
        function = part(function)
    for option in reversed(container_options()):
        function = _click_option(option)(function)
    return function


def change_options(function: F) -> F:
    """The options of what may be changed on an existing container."""
    for option in reversed(container_options()):
        if option.patch and not option.switch:
            function = _click_option(option)(function)
    return function


def request_body(given: dict[str, Any]) -> dict[str, Any]:
    """The members of the request. Raises `click.UsageError` naming the option that is wrong."""
    body: dict[str, Any] = {}
    for option in container_options():
        typed = given.get(option.wire)
        if not typed:
            continue
        body[option.wire] = True if option.switch else _read(option, list(typed))
    _add_addresses(body, given)
    _add_health(body, given)
    _add_files(body, given.get("files") or ())
    return body


def _click_option(option: CliOption) -> Callable[[F], F]:
    if option.switch:
        return click.option(*option.flags, option.wire, is_flag=True, help=option.help)
    metavar = option.metavar + (" ..." if option.repeated else "")
    return click.option(*option.flags, option.wire, multiple=True, metavar=metavar, help=option.help)


def _read(option: CliOption, typed: list[str]) -> Any:
    try:
        return typed if option.read is None else option.read(typed)
    except ValueError as error:
        raise click.UsageError(f"{option.flags[0]}: {error}") from error


def _add_addresses(body: dict[str, Any], given: dict[str, Any]) -> None:
    asked = {"v4-fixed-ip": given.get("ip"), "v6-fixed-ip": given.get("ip6")}
    wanted = {key: value for key, value in asked.items() if value}
    if not wanted:
        return
    if len(body.get("nets", ())) != 1:
        raise click.UsageError(
            "--ip and --ip6 need exactly one --network; for more write --network network=…,v4-fixed-ip=…."
        )
    body["nets"][0] |= wanted


def _add_health(body: dict[str, Any], given: dict[str, Any]) -> None:
    parts = [f"{key}={given[option]}" for option, key in _HEALTH.items() if given.get(option)]
    if not parts:
        return
    if "healthcheck" in body or not given.get("health_cmd"):
        raise click.UsageError(
            "Give the check by --health-cmd and the other --health-… options, or all by --healthcheck."
        )
    try:
        body["healthcheck"] = health_check([",".join(parts)])
    except ValueError as error:
        raise click.UsageError(f"--health-…: {error}") from error


def _add_files(body: dict[str, Any], files: tuple[str, ...]) -> None:
    """Files of this machine travel inside the request."""
    for mount in body.get("mounts", ()):
        source = mount.get("source", "")
        if mount.get("type") == "bind":
            mount["source"] = _content(source)
        elif source.startswith(("/", ".", "~")):
            raise click.UsageError(
                f"--mount: {source} is a path of this machine, and containers run elsewhere."
                " Put a file in with --file LOCAL:/PATH, copy directories with `zunctl cp`, or name a volume."
            )
    for written in files:
        local, colon, destination = written.rpartition(":")
        if not colon or not destination.startswith("/"):
            raise click.UsageError(f"--file: {written!r} is not of the form LOCAL:/PATH.")
        mount = {"type": "bind", "source": _content(local), "destination": destination}
        body.setdefault("mounts", []).append(mount)


def _content(local: str) -> str:
    try:
        return base64.b64encode(Path(local).expanduser().read_bytes()).decode("ascii")
    except OSError as error:
        raise click.UsageError(f"{local} cannot be read: {error.strerror}.") from error
