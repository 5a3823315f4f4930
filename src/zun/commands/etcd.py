# SPDX-License-Identifier: Apache-2.0
"""`zund etcd init`: etcd's users."""

import argparse
import asyncio
import os
from collections.abc import Callable
from typing import Any


def add(commands: Any, common: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command to zund's. `common` adds the options that all commands have."""
    etcd = commands.add_parser("etcd", help="the store of an installation on several machines")
    init = etcd.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "init", help="make etcd check its clients: the control plane may do everything, nobody else anything"
    )
    common(init)
    init.set_defaults(run=_init)


def _init(arguments: argparse.Namespace) -> int:
    """Make etcd check who its clients are; may be repeated."""
    # It is tried whether etcd refuses who shows no certificate; the library would write of that as if something had failed.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from zun import config  # noqa: PLC0415
    from zun.base.clock import SystemClock  # noqa: PLC0415
    from zun.store.etcd.initialising import initialise  # noqa: PLC0415
    from zun.wiring.stores import require_shared_store  # noqa: PLC0415

    settings = config.load(arguments.state_dir, arguments.config)
    require_shared_store(settings, "etcd init")
    asyncio.run(initialise(settings.store, SystemClock()))
    where = ", ".join(settings.store.endpoints)
    print(f"etcd at {where} knows the control plane, and lets nobody else do anything.")  # noqa: T201
    return 0
