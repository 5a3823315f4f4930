# SPDX-License-Identifier: Apache-2.0
"""The one place where the engine's and the transport's errors become ours.

The engine answers with a status and a sentence; both are needed, for it says 500 to much that is the caller's doing, and 403 to an
address that is taken. Rules by text come first, then the status decides.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from zun.drivers.runtime.wording_rule import Rule
from zun.model.errors import Conflict, Denied, Internal, Invalid, NotFound, Timeout, Unavailable, Unsupported, ZunError

_LONGEST_TEXT = 600


_RULES = (
    Rule(
        ("executable file not found", "no such file or directory: unknown", "exec format error", "permission denied: unknown"),
        Invalid, "Check the command, the entrypoint and the working directory against what the image has.",
    ),
    Rule(("port is already allocated", "userland proxy", "failed programming external connectivity"),
          Conflict, "Something else on the node has this port, or the node cannot publish it; publish another port."),
    Rule(("address already in use", "address is already in use"), Conflict, "Choose another address or free this one."),
    Rule(("endpoint with name", "already attached to network", "already exists in network"), Conflict, "It is on that network already."),
    Rule(("is not connected to", "not connected to the network"), NotFound, "Look at the container's addresses for its networks."),
    Rule(("is not paused",), Conflict, "Only a paused container can be unpaused."),
    Rule(("is not running", "stopped container", "is already stopped"), Conflict, "Start the container first."),
    Rule(("is paused", "already paused"), Conflict, "Unpause the container first."),
    Rule(("unauthorized", "no basic auth credentials", "authentication required", "access denied", "access forbidden",
           "access to the resource is denied", "incorrect username or password"),
          Denied, "Check the name, and the username and password for its registry."),
    Rule(("manifest unknown", "not found: manifest", "repository name not known", "does not exist or may require"),
          NotFound, "Check the image's name and tag."),
    Rule(("no such host", "dial tcp", "connection refused", "i/o timeout", "tls handshake timeout", "request canceled",
           "client.timeout", "temporary failure in name resolution", "network is unreachable", "server gave http response", "bad gateway",
           "service unavailable", "toomanyrequests"),
          Unavailable, "The registry is out of reach from the engine's machine; check its name and the network, or try again later."),
    Rule(("could not find the file", "no such container:path"), NotFound, "Look at what is in the container first."),
    Rule(("no such container: ",), NotFound, "It may have been removed; look again."),
    Rule(("not a directory", "invalid tar header", "unexpected eof", "archive/tar"), Invalid, "Send an uncompressed tar and name a directory."),
    Rule(("minimum memory limit", "range of cpus", "invalid cpu", "requested cpus are not available", "invalid reference format",
           "unknown runtime", "unknown or invalid runtime", "invalid runtime", "no command specified", "invalid address", "no configured subnet",
           "user specified ip address is supported", "invalid mount", "bind source path does not exist", "invalid hostname", "couldn't find pid field", "ps:"),
          Invalid, "Change the request."),
    Rule(("storage-opt", "storage opt"), Unsupported, "This engine cannot limit disk space; ask for none."),
    Rule(("no space left on device",), Unavailable, "The engine's disk is full; free some space."),
)  # fmt: skip

_BY_STATUS: dict[int, tuple[type[ZunError], str]] = {
    400: (Invalid, "Change the request."),
    401: (Denied, "Check the credentials."),
    403: (Conflict, "The engine does not allow it in this state."),
    404: (NotFound, "It may have been removed; look again."),
    405: (Unsupported, "This engine cannot do it."),
    409: (Conflict, "Look at its state, then try again."),
    501: (Unsupported, "This engine cannot do it."),
    502: (Unavailable, "Try again later."),
    503: (Unavailable, "Try again later."),
}


def from_engine(status: int, text: str, doing: str) -> ZunError:
    """The error for an answer of the engine; `doing` says what was tried, as in "start the container"."""
    told = " ".join(text.split())[:_LONGEST_TEXT].rstrip(". ") or f"status {status}"
    lowered = told.lower()
    for rule in _RULES:
        if any(words in lowered for words in rule.words):
            return rule.error(f"Docker could not {doing}: {told}. {rule.advice}")
    error, advice = _BY_STATUS.get(status, (Internal, "Look at the log of the Docker engine."))
    return error(f"Docker could not {doing}: {told}. {advice}")


def away(url: str, cause: BaseException) -> Unavailable:
    """The engine cannot be reached, or went away in the middle."""
    why = _inner(cause)
    if isinstance(why, PermissionError):
        advice = "This user may not talk to it: run as root or join the group docker."
    elif isinstance(why, FileNotFoundError):
        advice = "Is Docker installed and running? Start it: systemctl start docker."
    else:
        advice = "Is it running? Look at its log."
    return Unavailable(f"The Docker engine at {url} does not answer ({type(why).__name__}). {advice}")


def _inner(cause: BaseException) -> BaseException:
    if isinstance(cause, aiohttp.ClientConnectorError):
        return cause.os_error
    return cause


@asynccontextmanager
async def translated(url: str, doing: str, seconds: float | None) -> AsyncIterator[None]:
    """Bound what is inside to `seconds` and let only our errors out."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        if seconds is None:
            raise away(url, error) from error
        raise Timeout(
            f"Docker did not {doing} within {seconds:g} seconds; it may still happen. Look at the container before trying again."
        ) from error
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        raise away(url, error) from error
