# SPDX-License-Identifier: Apache-2.0
"""One call as the API sees it: what the node says, message by message, with failures in our words."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import grpc.aio
from google.protobuf.message import Message

from zun.model.errors import Unavailable
from zun.nodestreams import converting, failures
from zun.nodestreams.channels import Connection

_LOG = logging.getLogger(__name__)
M = TypeVar("M", bound=Message)
T = TypeVar("T")


@contextmanager
def in_our_words(node: str, connection: Connection) -> Iterator[None]:
    """Around waiting for a node: its failures, and those of the connection, become errors of ours."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        _LOG.info("Node %s (%s): %s %.300r", node, connection.address, error.code().name, error.details())
        raise failures.meaning(error, node) from error
    except converting.Nonsense as error:
        raise Unavailable(f"Node {node} answers nonsense ({error}); an operator must look at it.") from error
    except asyncio.InvalidStateError as error:  # the call ended before we wrote
        raise broken_off(node) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if not connection.gone or (task is not None and task.cancelling()):
            raise
        raise Unavailable(f"The connection to node {node} was closed; try again.") from error  # by `Channels`, under us


class Reply(Generic[M]):
    """The messages of a call."""

    def __init__(self, call: Any, kind: Callable[[bytes], M], node: str, connection: Connection) -> None:
        self._call = call
        self._kind = kind
        self._node = node
        self._connection = connection

    async def next(self, convert: Callable[[M], T]) -> T | None:
        """What the next message says; None at the end. Cancelling it ends the call."""
        with in_our_words(self._node, self._connection):
            data = await self._call.read()
            return None if data is grpc.aio.EOF else convert(converting.parsed(self._kind, data))

    async def first(self, convert: Callable[[M], T]) -> T:
        """What the first message says, which there must be."""
        found = await self.next(convert)
        if found is None:
            raise broken_off(self._node)
        return found


def broken_off(node: str) -> Unavailable:
    """The error of a call that ended though it had more to say."""
    return Unavailable(f"The connection to node {node} is lost. Try again in a moment.")
