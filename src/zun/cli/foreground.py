# SPDX-License-Identifier: Apache-2.0
"""A container in the foreground: its output is ours, our signals are its, its exit code is ours.

Nothing it prints is lost, however fast it ends. Without stdin the log is followed from its very beginning. With stdin the container is
made first, then attached to, and only then started, so that even a prompt without a newline (which no log holds) arrives.
"""

import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from zun.cli.attach import exit_code_of
from zun.cli.client import Client, Query, container_path
from zun.cli.console import Console
from zun.cli.containers import act, ended, finish
from zun.cli.conversation import Conversation
from zun.cli.failures import INTERRUPTED, REFUSED, Failure, Interrupted, command_failure
from zun.cli.lifecycle import gone, remove
from zun.cli.logs import log_frames, write_frame
from zun.cli.output import note
from zun.cli.run import started
from zun.cli.terminal import on_signals
from zun.cli.watch import Container, wait_until
from zun.cli.words import instant

_REMOVAL_SECONDS = 60.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PASSED_ON = (*_ENDING, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def follow_output(client: Client, made: Container, *, remove: bool) -> int:
    """Show its output until it ends; returns its exit code. Raises `Failure`."""
    with removed_afterwards(client, made, wanted=remove), signals_passed_on(client, made):
        container = started(client, made, None)
        since: str | None = None
        while container is not None:
            query: Query = {"follow": True, "tail": "all", "since": since}
            for channel, data in log_frames(client, made["uuid"], query):
                write_frame(channel, data)
            over = partial(_over_or_again, restarts=container.get("restarts") or 0)
            container = wait_until(client, made["uuid"], over)
            if container is None or ended(container):
                break
            # Its restart policy started it again: the next part of the log.
            again = instant(container.get("started_at"))
            since = None if again is None else str(again.timestamp())
        return _exit_code(made, container)


def converse(client: Client, made: Container, *, remove: bool, tty: bool, patience: float) -> int:
    """Our input (and terminal) for a container that was made but not started. Raises `Failure`."""
    with removed_afterwards(client, made, wanted=remove) as removal:
        started(client, made, None)
        url = client.get(container_path(made["uuid"], "attach"), {"before_start": True})
        console = Console(url, verify=client.access.verify)
        conversation = Conversation(console, tty=tty, stdin=True)
        starting = _Starting(client, made, conversation, patience)
        starting.begin()
        if tty:
            ending = conversation.talk()
        else:
            with signals_passed_on(client, made):
                ending = conversation.talk()
        starting.join()
        if starting.failure is not None:
            raise command_failure(starting.failure.message)
        if conversation.detached:
            removal.cancel()
            return 0
        if ending is not None and ending.exit_code is not None:
            return ending.exit_code
        return exit_code_of(client, made["uuid"])


class _Starting:
    """Starts the container while the conversation is open already, and ends the conversation when that fails."""

    def __init__(self, client: Client, made: Container, conversation: Conversation, patience: float) -> None:
        self._client = client
        self._made = made
        self._conversation = conversation
        self._patience = patience
        self._thread = threading.Thread(target=self._run, name="start", daemon=True)
        self.failure: Failure | None = None

    def begin(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Wait for the answer; the process may have ended before it came."""
        self._thread.join(timeout=self._patience)

    def _run(self) -> None:
        try:
            finish(self._client, self._made, act(self._client, self._made, "start"), self._patience)
            self._conversation.tell_size()
        except Failure as failure:
            self.failure = failure
            self._conversation.stop()


class Removal:
    """Whether the container is removed at the end."""

    def __init__(self, *, wanted: bool) -> None:
        self.wanted = wanted

    def cancel(self) -> None:
        """Leave it."""
        self.wanted = False


@contextmanager
def removed_afterwards(client: Client, made: Container, *, wanted: bool) -> Iterator[Removal]:
    """With `wanted`, remove the container at the end, also after a failure or an interruption."""
    removal = Removal(wanted=wanted)
    try:
        yield removal
    finally:
        if removal.wanted:
            try:
                remove(client, made | {"status": "Running"}, force=True)
                gone(client, made, _REMOVAL_SECONDS)
            except Failure as failure:
                note(f"zunctl: {made['name']} was not removed: {failure.message}")


@contextmanager
def signals_passed_on(client: Client, made: Container) -> Iterator[None]:
    """Send our signals to the container. The second that asks to end (Ctrl-C, SIGTERM, SIGHUP) kills it, the third leaves it alone."""
    asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    endings = 0

    def received(number: int) -> None:
        nonlocal endings
        endings += number in _ENDING
        if endings > 2 and number in _ENDING:
            raise Interrupted(number)
        asked.put("SIGKILL" if endings == 2 and number in _ENDING else signal.Signals(number).name)

    def deliver() -> None:
        while (name := asked.get()) is not None:
            try:
                act(client, made, "kill", {"signal": name})
            except Failure as failure:
                note(f"zunctl: {name} was not delivered: {failure.message}")

    messenger = threading.Thread(target=deliver, name="signals", daemon=True)
    messenger.start()
    try:
        with on_signals(received, *_PASSED_ON):
            yield
    finally:
        asked.put(None)


def _over_or_again(container: Container | None, *, restarts: int) -> bool:
    if container is None or ended(container):
        return True
    return container["status"] == "Running" and (container.get("restarts") or 0) > restarts


def _exit_code(made: Container, container: Container | None) -> int:
    if container is None:
        raise Failure(f"{made['name']} was removed by somebody else; its exit code is not known.", INTERRUPTED)
    if container["status"] == "Error" and container.get("exit_code") is None:
        raise command_failure(f"{made['name']}: {container.get('status_reason') or 'it failed.'}")
    if container.get("exit_code") is None:
        raise Failure(f"{made['name']} ended, but how is not known.", REFUSED)
    return int(container["exit_code"])
