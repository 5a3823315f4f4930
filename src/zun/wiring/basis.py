# SPDX-License-Identifier: Apache-2.0
"""What a process has on its own disk, and what its node is called."""

import os
import socket
import tempfile
from pathlib import Path

from zun.base.sealing import BadKeyError, MasterKey, NodeKey
from zun.config import Settings
from zun.model.errors import Internal, Unavailable
from zun.model.node_names import check_node_name

ROOM_BYTES = 256 * 1024
"""What a start writes at most (keys, token file, the beginning of a journal or database): a disk without it is full."""


def prepare(state_dir: Path) -> None:
    """The directory is there and ours to write, with room for what a start writes. Raises `Unavailable`."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Unavailable(
            f"The state directory {state_dir} cannot be made ({error.strerror}); give another one with --state-dir."
        ) from error
    if not os.access(state_dir, os.R_OK | os.W_OK | os.X_OK):
        raise Unavailable(
            f"The state directory {state_dir} cannot be written by this user; change its owner, or give another one with --state-dir."
        )
    try:
        with tempfile.TemporaryFile(dir=state_dir) as probe:
            probe.write(bytes(ROOM_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise cannot_write(state_dir, error) from error


def cannot_write(where: Path, error: OSError) -> Unavailable:
    """What an operator is told when the disk does not do as asked."""
    return Unavailable(
        f"{error.filename or where} cannot be used ({error.strerror or error}); make room on its file system, or correct owner and mode."
    )


def master_key(state_dir: Path) -> MasterKey:
    """The control plane's key, made at the first start. Raises `Internal` when it is damaged."""
    try:
        return MasterKey.load(state_dir / "master.key")
    except BadKeyError as error:
        raise Internal(str(error)) from error


def node_key(state_dir: Path) -> NodeKey:
    """The node's key, made at the first start. Raises `Internal` when it is damaged."""
    try:
        return NodeKey.load(state_dir / "node.key")
    except BadKeyError as error:
        raise Internal(str(error)) from error


def node_name(settings: Settings) -> str:
    """The node's name as other machines know it. Raises `Invalid` for one that cannot stand in keys and certificates."""
    return check_node_name(settings.compute.node_name or socket.gethostname())


def lone_node_name(settings: Settings) -> str:
    """The node's name where nobody else sees it: any host name is good enough."""
    return node_name(settings) if settings.compute.node_name else socket.gethostname()
