# SPDX-License-Identifier: Apache-2.0
"""Putting the executable where an engine looks for its plugins, and telling the engine to use it."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from zun.cni import executable
from zun.cni.options import CniOptions
from zun.model.errors import Internal, Invalid
from zun.model.networks import PLUGIN_NAME

CONFLIST_NAME = "10-zun.conflist"
NETWORK_NAME = "zun"
_VERSION = "1.0.0"
_MARK = "@ENDPOINT@"
_MOST_SHEBANG_BYTES = 255  # Linux reads no more of a first line
_SECONDS = 10


def install(endpoint: Path, options: CniOptions) -> None:
    """Write both where the settings say, replacing what is there. Raises `Invalid`, `Internal`."""
    if options.bin_dir:
        install_executable(Path(options.bin_dir), endpoint)
    if options.conf_dir:
        install_configuration(Path(options.conf_dir), _chained(options.chained))


def install_executable(folder: Path, endpoint: Path, interpreter: str = "") -> Path:
    """Write `zun-cni`, which asks the daemon at `endpoint`, and see that it runs. Raises `Invalid`, `Internal`.

    It is run by the absolute path of the interpreter itself (no `env`, no virtual environment), without the `site` module,
    variables of the environment or the user's packages: so it starts fast and is the same whoever runs it.
    """
    python = interpreter or _interpreter()
    first = f"#!{python} -ISs\n"
    if any(character.isspace() for character in python) or len(first.encode()) > _MOST_SHEBANG_BYTES:
        raise Invalid(
            f"{python} cannot stand in the first line of a script; use a Python with a shorter path without spaces."
        )
    if _MARK not in (source := Path(executable.__file__).read_text()) or '"' in str(endpoint):
        raise Internal(f"{endpoint} cannot be written into zun-cni; use a state directory without quotes in its name.")
    target = folder / PLUGIN_NAME
    _write(target, first + source.replace(_MARK, str(endpoint)), 0o755)
    _try_out(target)
    return target


def install_configuration(folder: Path, chained: list[Any]) -> Path:
    """Write the list of plugins: zun-cni first, then the others. Raises `Internal`."""
    target = folder / CONFLIST_NAME
    told = {"cniVersion": _VERSION, "name": NETWORK_NAME, "plugins": [{"type": PLUGIN_NAME}, *chained]}
    _write(target, msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n", 0o644)
    return target


def _interpreter() -> str:
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


def _chained(path: str) -> list[Any]:
    if not path:
        return []
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=list[dict[str, Any]])
    except (OSError, msgspec.MsgspecError) as error:
        raise Invalid(f"[cni] chained = {path} is no file with a JSON list of plugins: {error}.") from error


def _write(path: Path, text: str, mode: int) -> None:
    fresh = path.with_name(f".{path.name}.new")
    try:
        if _is_there(path, text, mode):
            return  # an engine may be running it, and cannot run what another process still has open for writing
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text)
        fresh.chmod(mode)
        fresh.replace(path)
    except OSError as error:
        raise Internal(f"{path} cannot be written: {error.strerror}.") from error


def _is_there(path: Path, text: str, mode: int) -> bool:
    try:
        return stat.S_IMODE(path.stat().st_mode) == mode and path.read_text() == text
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _try_out(path: Path) -> None:
    try:
        done = subprocess.run(
            [path], input=b"{}", env={"CNI_COMMAND": "VERSION"}, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Internal(f"{path} does not run: {error}.") from error
    if done.returncode:
        raise Internal(f"{path} does not run: {done.stderr.decode(errors='replace').strip()[-500:]}")
