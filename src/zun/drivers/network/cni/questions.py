# SPDX-License-Identifier: Apache-2.0
"""What may be asked of the daemon: the paths, and what is said there."""

import msgspec

CNI = "/cni"
"""From the executable: an engine's call, in the words of the CNI specification."""

SYNC = "/sync"
"""Make a living sandbox what its file in the spool says."""

PLUG = "/plug"
"""Plug in a sandbox that runs, where the engine does not run zun-cni."""

RELEASE = "/release"
"""Nothing of a sandbox is to be left."""

KEYS = "/keys"
"""Which sandboxes are bound."""


class About(msgspec.Struct, frozen=True):
    """The sandbox in question."""

    key: str


class Found(msgspec.Struct, frozen=True):
    """A sandbox as the engine has it: the key under which it was prepared, the engine's id, and the path of its namespace."""

    key: str
    container_id: str
    netns: str


class Failure(msgspec.Struct, frozen=True):
    """Why not: the name of a class of `zun.model.errors` and the sentence."""

    kind: str
    message: str
