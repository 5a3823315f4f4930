# SPDX-License-Identifier: Apache-2.0
"""The one place where the engine's and gRPC's errors become ours.

The code alone says little: a CRI engine answers UNKNOWN to most of what goes wrong, be it a wrong password or a missing program.
So rules by text come first, then the code decides.
"""

import grpc
import grpc.aio

from zun.drivers.runtime.wording_rule import Rule
from zun.model.errors import Conflict, Denied, Internal, Invalid, NotFound, Timeout, Unavailable, Unsupported, ZunError
from zun.model.networks import PLUGIN_NAME

_LONGEST_TEXT = 600


_RULES = (
    Rule((f'"{PLUGIN_NAME}"',), Unavailable, "It is tried again by whoever tries this again; look at the log of the network daemon."),
    Rule(("failed to start io pipe copy", "failed to open stdin fifo", "failed to open stdout fifo"),
          Conflict, "The engine's death has spoiled it; start it again."),
    Rule(
        ("executable file not found", "no such file or directory: unknown", "exec format error", "permission denied: unknown",
         "not a directory: unknown", "is a directory: unknown", "error finding executable"),
        Invalid, "Check the command, the entrypoint and the working directory against what the image has.",
    ),
    Rule(("in starting state", "in removing state", "is reserved for"), Unavailable, "It is just being made or removed; try again in a moment."),
    Rule(("ttrpc: closed",), Unavailable, "The process that looks after it has just gone; try again in a moment."),
    Rule(("server is not initialized yet",), Unavailable, "The engine has just started; try again in a moment."),
    Rule(("401 unauthorized", "403 forbidden", "no basic auth credentials", "insufficient_scope", "authorization failed",
           "incorrect username or password", "authentication required"),
          Denied, "Check the name, and the username and password for its registry."),
    Rule(("manifest unknown", "repository does not exist", "404 not found", ": not found", "name unknown"),
          NotFound, "Check the name."),
    Rule(("no such host", "dial tcp", "connection refused", "i/o timeout", "tls handshake timeout", "request canceled",
           "temporary failure in name resolution", "network is unreachable", "server gave http response", "502 bad gateway",
           "503 service unavailable", "429 too many requests"),
          Unavailable, "The registry is out of reach from the engine's machine; check its name and the network, or try again later."),
    Rule(("process already finished", "cannot exec in a stopped", "not in running state", "is not running", "cannot resize a stopped",
           "container not running"),
          Conflict, "Start the container first."),
    Rule(("no runtime for", "no command specified", "invalid reference format", "cpuset", "no such user", "unable to find user",
           "minimum memory limit", "bind source path does not exist", "failed to generate container spec"),
          Invalid, "Change the request."),
    Rule(("device or resource busy", "memory usage exceed"), Conflict, "It uses more than that now; free some of it, or ask for more."),
    Rule(("no space left on device",), Unavailable, "The engine's disk is full; free some space."),
    Rule(("cni", "network plugin"), Unavailable, "The network could not be set up; look at the engine's log and its CNI configuration."),
)  # fmt: skip

_BY_CODE: dict[grpc.StatusCode, tuple[type[ZunError], str]] = {
    grpc.StatusCode.NOT_FOUND: (NotFound, "It may have been removed; look again."),
    grpc.StatusCode.ALREADY_EXISTS: (Conflict, "Look at what is there."),
    grpc.StatusCode.FAILED_PRECONDITION: (Conflict, "Look at its state, then try again."),
    grpc.StatusCode.INVALID_ARGUMENT: (Invalid, "Change the request."),
    grpc.StatusCode.UNIMPLEMENTED: (Unsupported, "This engine cannot do it."),
    grpc.StatusCode.PERMISSION_DENIED: (Denied, "Check the rights of this user."),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (Unavailable, "Try again later."),
    grpc.StatusCode.ABORTED: (Unavailable, "Try again."),
}


def from_engine(error: grpc.aio.AioRpcError, doing: str, *, endpoint: str, seconds: float | None) -> ZunError:
    """The error for a failed call; `doing` says what was tried, as in "start the container"."""
    code, text = error.code(), error.details() or ""
    whole = " ".join(text.split())
    told = whole[:_LONGEST_TEXT].rstrip(". ") or code.name
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
        return away(endpoint, doing, told)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        within = f" within {seconds:g} seconds" if seconds else " in time"
        return Timeout(
            f"The engine did not {doing}{within}; it may still happen. Look at the container before trying again."
        )
    if is_in_the_way(whole):
        return Unavailable(
            f"The engine could not {doing}: it died in the middle of the like and left something in the way ({told}). It clears that away as soon as any container or image is removed on that node."
        )
    chosen = _BY_CODE.get(code)
    if chosen is None or chosen[0] is Conflict:
        lowered = whole.lower()
        for rule in _RULES:
            if any(words in lowered for words in rule.words):
                return rule.error(f"The engine could not {doing}: {told}. {rule.advice}")
    kind, advice = chosen or (Internal, "Look at the log of the engine.")
    return kind(f"The engine could not {doing}: {told}. {advice}")


def is_in_the_way(text: str) -> bool:
    """Whether a directory is in a new snapshot's place, left by a containerd that died before it wrote down that it had made it."""
    return all(words in text for words in ("failed to rename", "/snapshots/", "file exists"))


def away(endpoint: str, doing: str, told: str) -> Unavailable:
    """The engine cannot be reached, or went away in the middle."""
    lowered = told.lower()
    if "permission denied" in lowered:
        advice = "This user may not talk to it: run as root."
    elif "no such file" in lowered:
        advice = "Is containerd installed and running there? Start it: systemctl start containerd."
    else:
        advice = "Is it running? Look at its log."
    return Unavailable(f"The engine at {endpoint} is away, so it could not {doing}. {advice}")
