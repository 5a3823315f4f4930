# SPDX-License-Identifier: Apache-2.0
"""`cp`: files into and out of a container, with Docker's rules for paths, streamed.

`CONTAINER:/path` names the container's side; `-` is a tar on standard input or output. `SOURCE/.` copies what lies in a directory.
A target that is a directory receives the source under its own name; one that does not exist becomes the copy itself.
"""

import base64
import json
import os
import posixpath
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from zun.cli.client import Client, container_path
from zun.cli.containers import find
from zun.cli.failures import NOT_FOUND, Failure
from zun.cli.invocation import client_of
from zun.cli.tarring import pack, unpack

_GO_DIRECTORY = 1 << 31
_KIND, _DIRECTORY = 0o170000, 0o040000
_PIECE = 64 * 1024
_MISSING = (400, 404)


@dataclass(frozen=True)
class There:
    """What lies at a path inside the container."""

    is_directory: bool
    link_target: str


@click.command("cp")
@click.argument("source")
@click.argument("target")
@click.pass_context
def copy(ctx: click.Context, source: str, target: str) -> None:
    """Copy CONTAINER:PATH to a local path, or a local path to CONTAINER:PATH; - is a tar on standard input or output."""
    client = client_of(ctx)
    theirs, ours = _side(source), _side(target)
    if (theirs is None) == (ours is None):
        raise click.UsageError("Exactly one of SOURCE and TARGET must be CONTAINER:PATH.")
    if theirs is not None:
        _out_of(client, find(client, theirs[0])["uuid"], theirs[1], target)
    elif ours is not None:
        _into(client, source, find(client, ours[0])["uuid"], ours[1])


def _side(text: str) -> tuple[str, str] | None:
    """`CONTAINER:PATH` taken apart; None for a local path (`./a:b` is one)."""
    name, colon, path = text.partition(":")
    if not colon or text.startswith((".", "/", "~")) or text == "-":
        return None
    return name, path if path.startswith("/") else f"/{path}"


def _out_of(client: Client, uuid: str, path: str, target: str) -> None:
    with client.stream("GET", container_path(uuid, "archive"), query={"path": _without_dot(path)}) as reply:
        if target == "-":
            for piece in reply.iter_bytes(_PIECE):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        folder, top = _local_place(path, _there(reply.headers.get("X-Zun-Path-Stat", "")), target)
        unpack(reply.iter_bytes(_PIECE), folder, top=top)


def _local_place(path: str, there: There, target: str) -> tuple[Path, str | None]:
    """In which directory to unpack, and the name of the top entry there (None: its own, "": none)."""
    local = Path(target)
    contents_only = path.endswith("/.") and there.is_directory
    if local.is_dir():
        return local, "" if contents_only else None
    if local.exists() and there.is_directory:
        raise Failure(f"{target} is a file; a directory cannot be copied over it.")
    if target.endswith("/") and not there.is_directory:
        raise Failure(f"There is no directory {target}; make it first.")
    parent = local.parent
    if not parent.is_dir():
        raise Failure(f"There is no directory {parent}; make it first.")
    if contents_only:
        local.mkdir()
        return local, ""
    return parent, local.name


def _into(client: Client, source: str, uuid: str, path: str) -> None:
    if source == "-":
        data: Iterator[bytes] = iter(lambda: os.read(sys.stdin.fileno(), _PIECE), b"")
        _upload(client, uuid, path, data)
        return
    local = Path(source).expanduser()
    if not os.path.lexists(local):
        raise Failure(f"There is no {source} here.", NOT_FOUND)
    if source.endswith("/") and not local.is_dir():
        raise Failure(f"{source} is no directory.")
    folder, name = _place_there(client, uuid, source, path, is_directory=local.is_dir() and not local.is_symlink())
    _upload(client, uuid, folder, pack(local, name))


def _place_there(client: Client, uuid: str, source: str, path: str, *, is_directory: bool) -> tuple[str, str]:
    """The container's directory to unpack in, and the name that the copy gets there."""
    there = _look(client, uuid, path)
    contents_only = is_directory and (source.endswith("/.") or source == ".")
    if there is not None and there.is_directory:
        return path, "." if contents_only else _own_name(Path(source))
    if there is not None and is_directory:
        raise Failure(f"{path} in the container is a file; a directory cannot be copied over it.")
    if there is None and path.endswith("/") and not is_directory:
        raise Failure(f"There is no directory {path} in the container; make it first.")
    parent, name = posixpath.split(posixpath.normpath(path))
    return parent, name


def _own_name(local: Path) -> str:
    """The last part of the path as it was written; of `.` and `..` that of the directory they are."""
    return local.name if local.name not in ("", "..") else local.resolve().name


def _look(client: Client, uuid: str, path: str, links: int = 8) -> There | None:
    """What lies at a path, links followed; None when there is nothing."""
    try:
        with client.stream("GET", container_path(uuid, "archive"), query={"path": path}) as reply:
            there = _there(reply.headers.get("X-Zun-Path-Stat", ""))
    except Failure as failure:
        if failure.status in _MISSING:
            return None
        raise
    if there.link_target and links:
        return _look(client, uuid, posixpath.join(posixpath.dirname(path.rstrip("/")), there.link_target), links - 1)
    return there


def _upload(client: Client, uuid: str, folder: str, data: Iterator[bytes]) -> None:
    headers = {"Content-Type": "application/x-tar"}
    address = container_path(uuid, "archive")
    with client.stream("PUT", address, query={"path": folder}, content=data, headers=headers) as reply:
        reply.read()


def _there(header: str) -> There:
    try:
        stat = json.loads(base64.b64decode(header))
        mode = int(stat["mode"])
        link = str(stat.get("linkTarget") or "")
    except (ValueError, KeyError, TypeError) as error:
        raise Failure("The service does not tell what lies at that path; it is older than this zunctl.") from error
    return There(bool(mode & _GO_DIRECTORY) or mode & _KIND == _DIRECTORY, link)


def _without_dot(path: str) -> str:
    return path[:-2] or "/" if path.endswith("/.") else path
