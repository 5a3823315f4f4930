# SPDX-License-Identifier: Apache-2.0
"""`zund backup` and `zund restore`."""

import argparse
import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zun.config import Settings


def add(commands: Any, common: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the commands to zund's. `common` adds the options that all commands have."""
    backup = commands.add_parser(
        "backup", help="write all records, as of one instant, into a file; the service may run on"
    )
    common(backup)
    _of_store(backup)
    backup.set_defaults(run=_backup)
    restore = commands.add_parser("restore", help="put the records of a backup into the store, of whichever kind it is")
    common(restore)
    _of_store(restore)
    restore.add_argument("--force", action="store_true", help="replace what is in the store")
    restore.set_defaults(run=_restore)


def _of_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--store", choices=["sqlite", "etcd"], help="where state is kept (default: as configured, sqlite)"
    )


def _backup(arguments: argparse.Namespace) -> int:
    from zun.wiring.backing_up import back_up  # noqa: PLC0415

    print(asyncio.run(back_up(_settings(arguments), arguments.file)))  # noqa: T201 - a command speaks on its terminal
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    from zun.wiring.backing_up import restore  # noqa: PLC0415

    print(asyncio.run(restore(_settings(arguments), arguments.file, force=arguments.force)))  # noqa: T201
    return 0


def _settings(arguments: argparse.Namespace) -> "Settings":
    from zun import config  # noqa: PLC0415
    from zun.base import logs  # noqa: PLC0415

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    overrides: dict[str, dict[str, object]] = {"store": {"driver": arguments.store}} if arguments.store else {}
    settings = config.load(arguments.state_dir, arguments.config, overrides)
    logs.set_up("warning", settings.log.format)
    return settings
