# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: opened once, told apart from each other, and entered by a thread of their own."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from zun.base.network_namespaces import enter, identity, is_network_namespace, own_identity
from zun.model.errors import Internal, Invalid, NotFound, Timeout

__all__ = ["identity", "inside", "opened", "own_identity"]

T = TypeVar("T")


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """The namespace at a path, held while the block runs. Raises `NotFound` when there is none, `Invalid` for this machine's own."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(
            f"The network namespace {path} is not there ({error.strerror}); its sandbox has ended."
        ) from error
    try:
        try:
            is_network = is_network_namespace(descriptor)
        except OSError as error:
            raise NotFound(f"{path} is no network namespace; its sandbox has ended.") from error
        if not is_network or identity(descriptor) == own_identity():
            raise Invalid(f"{path} is not the network namespace of a sandbox; the engine has to make one for each.")
        yield descriptor
    finally:
        os.close(descriptor)


def inside(descriptor: int, work: Callable[[], T], seconds: float) -> T:
    """Do work in a namespace and return what it returns, or raise what it raises. Raises `Timeout`.

    The thread that enters never comes back, so nothing of this process can be left in a sandbox's namespace by an error.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def enter_and_work() -> None:
        try:
            _enter(descriptor)
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            errors.append(error)

    thread = threading.Thread(target=enter_and_work, name="zun-cni-namespace", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise Timeout(
            f"The kernel did not set up a sandbox's network within {seconds:g} seconds; see whether the machine is overloaded."
        )
    if errors:
        raise errors[0]
    return results[0]


def _enter(descriptor: int) -> None:
    try:
        enter(descriptor)
    except OSError as error:
        raise Internal(
            f"A sandbox's network namespace cannot be entered ({error.strerror}); zund has to run as root."
        ) from error
