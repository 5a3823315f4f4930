# SPDX-License-Identifier: Apache-2.0
"""Every question the daemon answers: `/cni` of the executable, the others of the node's agent."""

import logging
import time
from http import HTTPStatus
from typing import NoReturn, TypeVar

import msgspec

from zun.cni.asking import Ask, ask_of, parse, version_in
from zun.cni.errors import CniError, Code, error_document
from zun.cni.results import differences, result_document
from zun.cni.sandboxes import Sandboxes
from zun.drivers.network.cni.questions import CNI, KEYS, PLUG, RELEASE, SYNC, About, Failure, Found
from zun.model.errors import Internal, Invalid, NotFound, ZunError

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class Answering:
    """Questions in, answers out; what goes wrong is an answer, too."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes

    async def answer(self, path: str, body: bytes) -> tuple[HTTPStatus, bytes]:
        """The answer to a question."""
        return await self._engine(body) if path == CNI else await self._agent(path, body)

    async def _engine(self, body: bytes) -> tuple[HTTPStatus, bytes]:
        started = time.monotonic()
        try:
            ask = parse(body)
            told = await self._carry_out(ask)
        except (CniError, ZunError) as error:
            _LOG.warning("zun-cni: %s", error.message)
            return HTTPStatus.INTERNAL_SERVER_ERROR, error_document(version_in(body), error)
        except OSError as error:
            internal = _disk_error(error)
            _LOG.exception("zun-cni: %s", internal.message)
            return HTTPStatus.INTERNAL_SERVER_ERROR, error_document(version_in(body), internal)
        _LOG.debug(
            "%s of %s took %.1f ms", ask.command, ask.key or ask.container_id, 1000 * (time.monotonic() - started)
        )
        return HTTPStatus.OK, told

    async def _carry_out(self, ask: Ask) -> bytes:
        if ask.command == "ADD":
            return result_document(ask.version, await self._sandboxes.add(ask), ask.ifname)
        if ask.command == "DEL":
            await self._sandboxes.delete(ask)
            return b""
        bound, found = await self._sandboxes.problems(ask)
        found += differences(bound, ask.previous or {})
        if found:
            raise CniError(Code.DAMAGED, f"Sandbox {bound.key} is not as it was bound: {'; '.join(found)}.")
        return b""

    async def _agent(self, path: str, body: bytes) -> tuple[HTTPStatus, bytes]:
        try:
            return HTTPStatus.OK, await self._asked(path, body)
        except ZunError as error:
            failure = Failure(type(error).__name__, error.message)
        except OSError as error:
            failure = Failure(Internal.__name__, _disk_error(error).message)
        return HTTPStatus.CONFLICT, msgspec.json.encode(failure)

    async def _asked(self, path: str, body: bytes) -> bytes:
        if path == KEYS:
            return msgspec.json.encode(self._sandboxes.keys())
        if path == PLUG:
            await self._sandboxes.add(ask_of(_read(body, Found)))
            return b""
        key = _read(body, About).key
        if path == SYNC:
            await self._sandboxes.sync(key)
        elif path == RELEASE:
            await self._sandboxes.release(key)
        else:
            _unknown(path)
        return b""


def _read(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise Invalid(f"The network daemon cannot read the question: {error}.") from error


def _unknown(path: str) -> NoReturn:
    raise NotFound(f"The network daemon knows no question {path}; agent and daemon have to be of the same version.")


def _disk_error(error: OSError) -> Internal:
    return Internal(
        f"The network daemon cannot write its journal ({error}); make room or repair the disk, then try again."
    )
