# SPDX-License-Identifier: Apache-2.0
"""Entering a container's root: a mount namespace of our own, the root and its volumes mounted without devices, then chroot."""

import ctypes
import os
from collections.abc import Mapping, Sequence

_CLONE_NEWNS = 0x00020000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_REC, _MS_PRIVATE = 16384, 1 << 18
_SAFE = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC  # the new calls have the same numbers for these
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same on all machines
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_OPEN_TREE_CLONE = 1
_FROM_DESCRIPTOR, _TO_DESCRIPTOR = 0x4, 0x40
_PAGE = 4096

_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    """What mount_setattr(2) changes."""

    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("namespace", ctypes.c_uint64),
    )


def enter(root: str, mount: Mapping[str, object] | None, binds: Sequence[Mapping[str, str]], at: str) -> None:
    """Make a container's root this process's root, for good.

    `root` is a directory that is the root already, or `mount` says how to mount it; either way it is done at the empty directory `at`,
    where nobody else sees it. `binds` are put at their destinations inside.
    """
    _call(_libc.unshare(_CLONE_NEWNS), "unshare")
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE, None)
    if mount is not None and mount["type"] != "bind":
        _mount_snapshot(mount, at)
    else:
        _bind(str(mount["source"]) if mount is not None else root, os.open(at, os.O_PATH | os.O_CLOEXEC))
    outside = os.open("/", os.O_PATH | os.O_DIRECTORY)
    for bind in binds:
        place = _place_inside(at, bind["destination"], is_file=os.path.isfile(bind["source"]), outside=outside)
        _bind(bind["source"], place)
    os.close(outside)
    os.chdir(at)
    os.chroot(".")
    os.chdir("/")


def _mount_snapshot(mount: Mapping[str, object], at: str) -> None:
    options = [str(option) for option in mount["options"]]  # type: ignore[attr-defined]
    data = ",".join(option for option in options if option not in {"rw", "ro"})
    if len(data) >= _PAGE - 1:
        data = _shortened(options)
    _mount(str(mount["source"]), at, str(mount["type"]), _SAFE, data)
    os.chdir("/")


def _shortened(options: Sequence[str]) -> str:
    """The kernel takes a page of options; many layers fit in when they are named from their common directory."""
    layers = next(option for option in options if option.startswith("lowerdir=")).removeprefix("lowerdir=").split(":")
    common = os.path.commonpath(layers)
    os.chdir(common)
    short = "lowerdir=" + ":".join(os.path.relpath(layer, common) for layer in layers)
    return ",".join(short if option.startswith("lowerdir=") else option for option in options)


def _place_inside(at: str, destination: str, *, is_file: bool, outside: int) -> int:
    """The place where a volume belongs, made when it is absent, found as the container itself would find it."""
    os.chdir(at)
    os.chroot(".")
    try:
        place = os.path.realpath(destination)  # links are followed in here, also those whose end is to be made
        if not os.path.exists(place):
            os.makedirs(os.path.dirname(place) if is_file else place, exist_ok=True)
            if is_file:
                os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        return os.open(place, os.O_PATH | os.O_CLOEXEC)
    finally:
        os.fchdir(outside)
        os.chroot(".")


def _bind(source: str, place: int) -> None:
    """Put a copy of a mounted tree at an open place, without devices before anybody can see it there. Closes the place."""
    words = (ctypes.c_int(_AT_FDCWD), ctypes.c_char_p(source.encode()), ctypes.c_uint(_OPEN_TREE_CLONE | os.O_CLOEXEC))
    tree = _libc.syscall(_OPEN_TREE, *words)
    _call(0 if tree >= 0 else -1, f"open {source}")
    safe = _Attributes(set=_SAFE)
    empty, size = ctypes.c_char_p(b""), ctypes.c_size_t(ctypes.sizeof(safe))
    _call(
        _libc.syscall(_MOUNT_SETATTR, tree, empty, ctypes.c_uint(_AT_EMPTY_PATH), ctypes.byref(safe), size),
        f"guard {source}",
    )
    how = ctypes.c_uint(_FROM_DESCRIPTOR | _TO_DESCRIPTOR)
    _call(_libc.syscall(_MOVE_MOUNT, tree, empty, ctypes.c_int(place), empty, how), f"mount {source}")
    os.close(tree)
    os.close(place)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None) -> None:
    told = [None if word is None else word.encode() for word in (source, target, kind)]
    _call(_libc.mount(*told, ctypes.c_ulong(flags), None if data is None else data.encode()), f"mount {target}")


def _call(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
