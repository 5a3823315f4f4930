# SPDX-License-Identifier: Apache-2.0
"""zund: the service's executable. Parses the command line and leaves the rest to `zun.wiring`."""

import argparse
import gc
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from zun import __version__
from zun.base.addresses import address
from zun.commands import authorities, backup, cni, etcd, keystone
from zun.model.errors import Invalid, ZunError


def default_state_dir(name: str = "zun") -> Path:
    """Where state lives unless told otherwise: /var/lib/zun for root, else below the user's home.

    A node of its own has `zun-node` there: the control plane's keys are none of its business, also on one machine with it.
    """
    return (Path("/var/lib") if os.geteuid() == 0 else Path.home() / ".local/share") / name


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns the exit code. Errors of ours are one line on standard error."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except ZunError as error:
        print(f"zund: {error.message}", file=sys.stderr)  # noqa: T201 - a command speaks on its terminal
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zund", description="Containers through one API, whatever engine runs them.")
    parser.add_argument("--version", action="version", version=f"zund {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    _add_roles(commands)

    config = commands.add_parser("config", help="the configuration file").add_subparsers(
        required=True, metavar="COMMAND"
    )
    config.add_parser("sample", help="print a documented file with every option").set_defaults(run=_print_sample)
    check = config.add_parser("check", help="read the file and name what is wrong in it")
    _common(check)
    check.set_defaults(run=_check_config)

    user = commands.add_parser("user", help="who may use the service").add_subparsers(required=True, metavar="COMMAND")
    add = user.add_parser("add", help="add a user and print the token (shown once)")
    _common(add)
    add.add_argument("name")
    add.add_argument("--project", required=True, help="the project the user works in")
    add.add_argument("--role", action="append", choices=["admin", "member", "reader"], help="default: member")
    add.set_defaults(run=_add_user)
    listing = user.add_parser("list", help="list users")
    _common(listing)
    listing.set_defaults(run=_list_users)
    remove = user.add_parser("remove", help="remove a user; the token stops working at once")
    _common(remove)
    remove.add_argument("name")
    remove.set_defaults(run=_remove_user)
    authorities.add(commands, _state_dir)
    etcd.add(commands, _common)
    keystone.add(commands, _common)
    cni.add(commands, lambda parser: _common(parser, state_dir="zun-node"))
    backup.add(commands, _common)
    return parser


def _add_roles(commands: Any) -> None:
    everything = commands.add_parser("all", help="run the whole service in this process")
    _common(everything)
    _listens(everything)
    _has_engine(everything)
    everything.add_argument(
        "--store", choices=["sqlite", "memory", "etcd"], help="where state is kept (default sqlite)"
    )
    everything.set_defaults(run=_run_role, role="all")

    api = commands.add_parser("api", help="serve the API; any number may, over one etcd")
    _common(api)
    _listens(api)
    api.set_defaults(run=_run_role, role="api")

    controller = commands.add_parser("controller", help="place containers and clean up; of any number one leads")
    _common(controller)
    _has_figures(controller)
    controller.set_defaults(run=_run_role, role="controller")

    gate = commands.add_parser("gate", help="let nodes reach the store; any number may, over one etcd")
    _common(gate)
    gate.add_argument("--listen", metavar="HOST:PORT", help="where nodes reach it (default 127.0.0.1:9519)")
    _has_figures(gate)
    gate.set_defaults(run=_run_role, role="gate", listens="gate")

    compute = commands.add_parser("compute", help="run containers on this machine: one node")
    _common(compute, state_dir="zun-node")
    _has_engine(compute)
    compute.add_argument(
        "--node-name", metavar="NAME", help="what the node is called, for good (default: the host name)"
    )
    compute.add_argument(
        "--join",
        metavar="TOKEN",
        help="become a node with the token that `zunctl node token` printed; -: read it from standard input",
    )
    _has_figures(compute)
    compute.set_defaults(run=_run_compute, role="compute")

    watchdog = commands.add_parser(
        "watchdog",
        help="stop this node's containers when it is out of touch and its agent cannot; `compute` starts one",
    )
    watchdog.add_argument("--state-dir", type=Path, default=default_state_dir(), help="default: %(default)s")
    watchdog.set_defaults(run=_watch)

    daemon = commands.add_parser("cni-daemon", help="plug this node's sandboxes into networks, in a process of its own")
    _common(daemon, state_dir="zun-node")
    daemon.set_defaults(run=_run_role, role="cni_daemon")


def _listens(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listen", metavar="HOST:PORT", help="where the API listens (default 127.0.0.1:9517)")


def _has_figures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metrics", metavar="HOST:PORT", help="where GET /metrics is served (default: nowhere)")


def _has_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime", choices=["docker", "cri", "fake"], help="the engine (default: as configured, docker)"
    )


def _common(parser: argparse.ArgumentParser, *, state_dir: str = "zun") -> None:
    _state_dir(parser, state_dir)
    parser.add_argument("--config", type=Path, help="an INI file; `zund config sample` shows what it may hold")


def _state_dir(parser: argparse.ArgumentParser, name: str = "zun") -> None:
    parser.add_argument("--state-dir", type=Path, default=default_state_dir(name), help="default: %(default)s")


def _overrides(arguments: argparse.Namespace) -> dict[str, dict[str, object]]:
    """What the command line says over the file."""
    given = vars(arguments)
    changed: dict[str, dict[str, object]] = {}
    if given.get("listen"):
        try:
            host, port = address(arguments.listen)
        except ValueError as error:
            raise Invalid(f"--listen: {error}.") from error
        changed[given.get("listens", "api")] = {"host": host, "port": port}
    for name, (section, option) in _OVERRIDES.items():
        if given.get(name):
            changed[section] = {option: given[name]}
    return changed


_OVERRIDES = {
    "runtime": ("runtime", "driver"),
    "store": ("store", "driver"),
    "node_name": ("compute", "node_name"),
    "metrics": ("metrics", "listen"),
}

# Imports stand inside the commands so that `zund --help` and `zund user add` do not load the whole service, and a role no other.


def _run_role(arguments: argparse.Namespace) -> int:
    gc.disable()  # what starting makes is kept, not garbage; `life` enables it when all is assembled
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes past the log, and our errors say what it knows
    try:
        from zun import config  # noqa: PLC0415
        from zun.wiring import life  # noqa: PLC0415

        settings = config.load(arguments.state_dir, arguments.config, _overrides(arguments))
        role = importlib.import_module(f"zun.wiring.role_{arguments.role}")
        return life.run(settings, role.build)
    finally:
        gc.enable()


def _watch(arguments: argparse.Namespace) -> int:
    """Become the watchdog: an interpreter with nothing loaded but that one file."""
    from zun.agent import watchdog  # noqa: PLC0415

    command = [sys.executable, "-I", "-S", watchdog.__file__, str(arguments.state_dir.absolute()), "--stay"]
    os.execv(sys.executable, command)  # noqa: S606


def _run_compute(arguments: argparse.Namespace) -> int:
    if arguments.join is not None:
        from zun import config  # noqa: PLC0415
        from zun.wiring import members  # noqa: PLC0415

        members.join(config.load(arguments.state_dir, arguments.config, _overrides(arguments)), arguments.join)
    return _run_role(arguments)


def _print_sample(_: argparse.Namespace) -> int:
    from zun import config  # noqa: PLC0415

    print(config.sample(), end="")  # noqa: T201
    return 0


def _check_config(arguments: argparse.Namespace) -> int:
    from zun import config  # noqa: PLC0415

    settings = config.load(arguments.state_dir, arguments.config)
    if settings.identity.driver == "keystone":
        from zun.drivers.identity.keystone.server import login_of  # noqa: PLC0415

        login_of(settings.keystone_authtoken)  # says what is missing
    print("The configuration is good.")  # noqa: T201
    return 0


def _tokens_path(arguments: argparse.Namespace) -> Path:
    from zun import config  # noqa: PLC0415
    from zun.wiring.identities import tokens_path  # noqa: PLC0415

    settings = config.load(arguments.state_dir, arguments.config)
    if settings.identity.driver != "static":
        raise Invalid("Users are Keystone's here ([identity] driver = keystone); make and change them there.")
    return tokens_path(settings)


def _add_user(arguments: argparse.Namespace) -> int:
    from zun.drivers.identity.static import tokens  # noqa: PLC0415

    roles = arguments.role or ["member"]
    token = tokens.add_user(_tokens_path(arguments), arguments.name, project=arguments.project, roles=roles)
    print(token)  # noqa: T201
    return 0


def _list_users(arguments: argparse.Namespace) -> int:
    from zun.drivers.identity.static import tokens  # noqa: PLC0415

    for user in tokens.users(_tokens_path(arguments)):
        print(f"{user.name}\t{user.project}\t{','.join(user.roles)}\t{user.tokens} token(s)")  # noqa: T201
    return 0


def _remove_user(arguments: argparse.Namespace) -> int:
    from zun.drivers.identity.static import tokens  # noqa: PLC0415

    tokens.remove_user(_tokens_path(arguments), arguments.name)
    return 0
