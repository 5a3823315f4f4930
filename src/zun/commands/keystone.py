# SPDX-License-Identifier: Apache-2.0
"""`zund keystone register` and `check`."""

import argparse
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zun.drivers.identity.keystone.checking import Finding


def add(commands: Any, common: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the commands to zund's. `common` adds the options that all commands have."""
    keystone = commands.add_parser("keystone", help="the cloud's Keystone").add_subparsers(
        required=True, metavar="COMMAND"
    )
    register = keystone.add_parser(
        "register", help="put this service into the cloud's catalogue, as the administrator whom OS_* variables name"
    )
    common(register)
    register.add_argument("--public-url", required=True, metavar="URL", help="where clients reach the API")
    register.add_argument(
        "--internal-url", default="", metavar="URL", help="where the cloud's services do (default: the same)"
    )
    register.add_argument("--admin-url", default="", metavar="URL", help="where administrators do (default: the same)")
    register.add_argument("--region", default="", help="default: the only one there is")
    register.set_defaults(run=_register)
    check = keystone.add_parser(
        "check", help="look at what is between this service and Keystone, and say what is wrong"
    )
    common(check)
    check.set_defaults(run=_check)


def _register(arguments: argparse.Namespace) -> int:
    from zun import config  # noqa: PLC0415
    from zun.drivers.identity.keystone import registration  # noqa: PLC0415
    from zun.drivers.identity.keystone.checking import who_may_check  # noqa: PLC0415

    _mute_libraries()
    options = config.load(arguments.state_dir, arguments.config).keystone_authtoken
    wanted = registration.Registration(
        service_type=options.service_type,
        public_url=arguments.public_url,
        internal_url=arguments.internal_url,
        admin_url=arguments.admin_url,
        region=arguments.region,
    )
    catalogue = registration.administrator()
    for line in catalogue.register(wanted):
        print(line)  # noqa: T201 - a command speaks on its terminal
    return _print_findings([who_may_check(options, catalogue.token())])


def _check(arguments: argparse.Namespace) -> int:
    from zun import config  # noqa: PLC0415
    from zun.base.clock import SystemClock  # noqa: PLC0415
    from zun.drivers.identity.keystone.checking import check  # noqa: PLC0415

    _mute_libraries()
    return _print_findings(check(config.load(arguments.state_dir, arguments.config).keystone_authtoken, SystemClock()))


def _mute_libraries() -> None:
    """What they would warn of is said by the command, in one line."""
    logging.basicConfig(level=logging.CRITICAL)


def _print_findings(findings: "Iterable[Finding]") -> int:
    """What was looked at, a line each, with what to do about it; 1 when there is something to do."""
    bad = 0
    for finding in findings:
        print(f"{'ok ' if finding.well else 'BAD'} {finding.what}")  # noqa: T201
        if not finding.well:
            print(f"    {finding.advice}")  # noqa: T201
            bad = 1
    return bad
