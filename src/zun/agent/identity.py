# SPDX-License-Identifier: Apache-2.0
"""Who this node is, for ever: its uuid, and the owner id by which it knows its own objects in the engine."""

from pathlib import Path

import msgspec

from zun.base.ids import canonical_uuid, new_uuid
from zun.base.private_file import replace_private
from zun.model.errors import Internal

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

MEMBERSHIP = "membership.json"
"""The file in the state directory of a machine that joined an installation (`zun.agent.membership`)."""


class NodeIdentity(msgspec.Struct, frozen=True):
    """As it lies in `<state-dir>/node.json`. `owner` labels every container of this node in the engine."""

    uuid: str
    owner: str


def load_identity(state_dir: Path) -> NodeIdentity:
    """The identity, made at the first start. Raises `Internal` when the file is damaged: guessing would orphan containers."""
    path = state_dir / "node.json"
    if path.exists():
        try:
            return msgspec.json.decode(path.read_bytes(), type=NodeIdentity)
        except msgspec.DecodeError as error:
            raise Internal(
                f"{path} is damaged. Restore it from a backup; with a new one the node would not know its own containers."
            ) from error
    uuid = new_uuid()
    identity = NodeIdentity(uuid, uuid)
    replace_private(path, msgspec.json.encode(identity))
    return identity


def boot_id() -> str:
    """Changes whenever the machine starts anew; "" where the kernel does not tell."""
    try:
        text = BOOT_ID.read_text().strip()
    except OSError:
        return ""
    return canonical_uuid(text) or text
