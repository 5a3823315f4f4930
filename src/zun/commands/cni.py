# SPDX-License-Identifier: Apache-2.0
"""`zund cni install`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add(commands: Any, common: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the commands to zund's. `common` adds the options that all commands have."""
    cni = commands.add_parser("cni", help="the CNI plugin of this node").add_subparsers(
        required=True, metavar="COMMAND"
    )
    install = cni.add_parser("install", help="write zun-cni and its configuration where an engine looks for them")
    common(install)
    install.add_argument("--bin-dir", type=Path, required=True, metavar="DIR", help="the engine's folder of plugins")
    install.add_argument(
        "--conf-dir", type=Path, metavar="DIR", help="its folder of configurations (default: none is written)"
    )
    install.set_defaults(run=_install)


def _install(arguments: argparse.Namespace) -> int:
    from zun.cni import installing  # noqa: PLC0415
    from zun.drivers.network.cni.sealing import endpoint_path  # noqa: PLC0415

    written = [installing.install_executable(arguments.bin_dir, endpoint_path(arguments.state_dir.absolute()))]
    if arguments.conf_dir is not None:
        written.append(installing.install_configuration(arguments.conf_dir, []))
    for path in written:
        print(path)  # noqa: T201
    return 0
