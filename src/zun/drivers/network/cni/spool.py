# SPDX-License-Identifier: Apache-2.0
"""The sandboxes' networks as files, one each: written by the agent before it has a sandbox made, read by the daemon that binds it."""

from pathlib import Path

import msgspec

from zun.base.private_file import replace_private
from zun.model.attachments import SandboxNetwork, is_sandbox_key
from zun.model.errors import Internal, Invalid, NotFound

_SUFFIX = ".json"


class Spool:
    """The folder `<state-dir>/cni/attachments`. Files are private: they tell who is where."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "cni" / "attachments"

    def write(self, sandbox: SandboxNetwork) -> None:
        """What the sandbox is to be plugged into from now on. Raises `Invalid`, `OSError`."""
        replace_private(self._path(sandbox.key), msgspec.json.encode(sandbox))

    def read(self, key: str) -> SandboxNetwork:
        """What the sandbox is to be plugged into. Raises `NotFound`, `Invalid` for what is no key, `Internal` for a damaged file."""
        path = self._path(key)
        try:
            return msgspec.json.decode(path.read_bytes(), type=SandboxNetwork)
        except FileNotFoundError as error:
            raise NotFound(
                f"This node was told of no sandbox {key}; only the node's agent has sandboxes made."
            ) from error
        except (msgspec.DecodeError, OSError) as error:
            raise Internal(f"{path} cannot be read ({error}); remove the container and make it anew.") from error

    def remove(self, key: str) -> None:
        """Forget the sandbox; unknown is no error. Raises `Invalid`, `OSError`."""
        self._path(key).unlink(missing_ok=True)

    def keys(self) -> set[str]:
        """All that were written and not removed."""
        if not self._folder.is_dir():
            return set()
        return {path.name.removesuffix(_SUFFIX) for path in self._folder.iterdir() if is_sandbox_key(path.name)}

    def _path(self, key: str) -> Path:
        if not is_sandbox_key(key):
            raise Invalid(f"{key!r} is no key of a sandbox; it is `<uuid>.<generation>`.")
        return self._folder / f"{key}{_SUFFIX}"
