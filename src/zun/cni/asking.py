# SPDX-License-Identifier: Apache-2.0
"""What an engine asks: the environment and the configuration a plugin is run with, as the executable passes them on."""

import re
from typing import Any

import msgspec

from zun.cni.errors import CniError, Code
from zun.drivers.network.cni.questions import Found
from zun.model.attachments import is_sandbox_key
from zun.model.errors import Invalid

SUPPORTED_VERSIONS = ("0.3.1", "0.4.0", "1.0.0")
LATEST_VERSION = SUPPORTED_VERSIONS[-1]
OWN_KEY_ARGUMENT = "ZUN_SANDBOX"
"""The sandbox's key, where we have zun-cni run ourselves."""

POD_KEY_ARGUMENT = "K8S_POD_UID"
"""The sandbox's key, where a CRI engine has it run: the uid that the agent gave the sandbox."""

ENGINES_IFNAME = "eth0"
"""How CRI engines call the interface that they have a plugin make, whichever a sandbox begins with."""

_CONTAINER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_NO_CHECK = frozenset({"0.3.1"})


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `key` is "" where the engine did not tell it, `ifname` "" where it does not care; `previous` is what the engine remembers of the ADD."""

    command: str
    version: str
    container_id: str
    ifname: str
    netns: str = ""
    key: str = ""
    previous: dict[str, Any] | None = None


class _Config(msgspec.Struct, rename="camel"):
    cni_version: str = ""
    prev_result: dict[str, Any] | None = None


def ask_of(found: Found) -> Ask:
    """The ADD of a sandbox that the agent found, whose engine runs no plugins. Raises `Invalid`."""
    if not _CONTAINER_ID.fullmatch(found.container_id) or not is_sandbox_key(found.key) or not found.netns:
        raise Invalid("The agent has to tell a sandbox's key, its id, and where its namespace is.")
    return Ask(
        command="ADD",
        version=LATEST_VERSION,
        container_id=found.container_id,
        ifname="",
        netns=found.netns,
        key=found.key,
    )


def version_in(body: bytes) -> str:
    """The version to answer in, also when nothing else can be made of the question."""
    try:
        return _config(body.partition(b"\0\0")[2]).cni_version or LATEST_VERSION
    except CniError:
        return LATEST_VERSION


def parse(body: bytes) -> Ask:
    """The question in a body: the environment's `CNI_*` as NAME=value with NULs between, an empty one, the configuration.

    Raises `CniError`.
    """
    told, _, document = body.partition(b"\0\0")
    environment = _environment(told)
    config = _config(document)
    if config.cni_version not in SUPPORTED_VERSIONS:
        raise CniError(
            Code.INCOMPATIBLE_VERSION,
            f"zun-cni speaks CNI {', '.join(SUPPORTED_VERSIONS)}, not {config.cni_version or 'without a version'!r}; change cniVersion.",
        )
    command = _needed(environment, "CNI_COMMAND")
    if command not in {"ADD", "DEL", "CHECK"} or (command == "CHECK" and config.cni_version in _NO_CHECK):
        raise CniError(
            Code.BAD_ENVIRONMENT, f"CNI_COMMAND is {command!r}, which CNI {config.cni_version} does not have."
        )
    container_id = _needed(environment, "CNI_CONTAINERID")
    if not _CONTAINER_ID.fullmatch(container_id):
        raise CniError(Code.BAD_ENVIRONMENT, f"CNI_CONTAINERID is {container_id!r}, which is no container id.")
    ask = Ask(
        command=command,
        version=config.cni_version,
        container_id=container_id,
        ifname=_needed(environment, "CNI_IFNAME"),
        netns=environment.get("CNI_NETNS", "") if command == "DEL" else _needed(environment, "CNI_NETNS"),
        key=_key(environment.get("CNI_ARGS", "")),
        previous=config.prev_result,
    )
    if command == "ADD" and ask.previous is not None:
        raise CniError(
            Code.BAD_CONFIG,
            "zun-cni makes the interfaces, so it is the first in a list of plugins; put the others behind it.",
        )
    if command == "CHECK" and ask.previous is None:
        raise CniError(Code.BAD_CONFIG, "CHECK needs prevResult, what ADD answered.")
    if command != "DEL" and not ask.key:
        raise CniError(
            Code.BAD_ENVIRONMENT,
            f"CNI_ARGS names no sandbox of this node's agent ({POD_KEY_ARGUMENT} or {OWN_KEY_ARGUMENT}); zun-cni serves no others.",
        )
    return ask


def _environment(told: bytes) -> dict[str, str]:
    pairs = (entry.partition(b"=") for entry in told.split(b"\0"))
    try:
        return {name.decode(): value.decode() for name, _, value in pairs}
    except UnicodeDecodeError as error:
        raise CniError(Code.BAD_ENVIRONMENT, "The CNI_ variables are not text.") from error


def _needed(environment: dict[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise CniError(Code.BAD_ENVIRONMENT, f"{name} is not set; the engine has to.")
    return value


def _config(document: bytes) -> _Config:
    try:
        return msgspec.json.decode(document, type=_Config)
    except msgspec.MsgspecError as error:
        raise CniError(
            Code.BAD_CONTENT, f"The network configuration on standard input cannot be read: {error}."
        ) from error


def _key(arguments: str) -> str:
    pairs = (one.partition("=") for one in arguments.split(";"))
    told = {name.strip(): value.strip() for name, _, value in pairs}
    key = told.get(OWN_KEY_ARGUMENT) or told.get(POD_KEY_ARGUMENT) or ""
    return key if is_sandbox_key(key) else ""
