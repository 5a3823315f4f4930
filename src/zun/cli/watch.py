# SPDX-License-Identifier: Apache-2.0
"""Following what happens: the service's event stream, read across broken connections, and waiting that rests on it."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from zun.base.backoff import Backoff
from zun.cli.client import Client, Query, container_path
from zun.cli.failures import NOT_FOUND, REFUSED, Failure, Lost

SILENCE_SECONDS = 45.0  # the service sends a comment every 15 s
BEAT = "beat"
_RETRIES = Backoff(first_seconds=0.2, cap_seconds=5.0, attempts=12)

Container = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """`kind` is ready, changed, deleted, reset, or `beat` for a sign of life."""

    kind: str
    data: dict[str, Any]
    revision: str = ""


class Deadline:
    """When patience ends; `seconds` None: never."""

    def __init__(self, seconds: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = None if seconds is None else clock() + seconds

    def left(self) -> float | None:
        """Seconds left, not below zero; None for no end."""
        return None if self._end is None else max(0.0, self._end - self._clock())

    def over(self) -> bool:
        """Whether it has passed."""
        return self.left() == 0.0


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events from the lines of a stream."""
    kind, data, revision = "", "", ""
    for line in lines:
        if line.startswith(":"):
            yield Event(BEAT, {})
        elif line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            kind, data, revision = (
                value if name == "event" else kind,
                data + value if name == "data" else data,
                value if name == "id" else revision,
            )
        elif data:
            yield Event(kind, json.loads(data), revision)
            kind, data = "", ""


def follow(
    client: Client,
    *,
    container: str | None = None,
    all_projects: bool = False,
    since: str | None = None,
    deadline: Deadline | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """Events until the deadline (then it just ends). A broken connection is made again, going on where it stopped."""
    deadline = deadline or Deadline(None)
    delays = _RETRIES.delays()
    while not deadline.over():
        query: Query = {"container": container, "all_projects": all_projects or None, "since": since}
        left = deadline.left()
        silence = SILENCE_SECONDS if left is None else min(SILENCE_SECONDS, left + 0.05)
        lost = Lost(f"{client.access.url} ends its event stream again and again; try again later.")
        try:
            with client.stream("GET", "/v1/watch", query=query, silence_seconds=silence) as reply:
                for event in read_events(reply.iter_lines()):
                    delays = _RETRIES.delays()
                    since = event.revision or str(event.data.get("revision") or "") or since
                    yield event
                    if event.kind == BEAT and left is not None:
                        break  # the next silence must be shorter
                else:
                    raise lost
        except Lost:
            if deadline.over():
                return
            delay = next(delays, None)
            if delay is None:
                raise
            sleep(delay)


def views(client: Client, uuid: str, *, deadline: Deadline | None = None) -> Iterator[Container | None]:
    """The container now, again after every change and sign of life; None when it is gone. Ends at the deadline."""
    current = _look(client, uuid)
    own = client.access.project_id
    # An administrator may wait for somebody else's container, whose events come only to who asks for all projects.
    foreign = current is not None and bool(own) and current.get("project_id") != own
    for event in follow(client, container=uuid, all_projects=foreign, deadline=deadline):
        if event.kind == "changed":
            current = event.data["container"]
        elif event.kind == "deleted":
            current = None
        else:
            current = _look(client, uuid)
        yield current


def wait_until(
    client: Client,
    uuid: str,
    done: Callable[[Container | None], bool],
    *,
    seconds: float | None = None,
    seen: Callable[[Container | None], None] = lambda _: None,
) -> Container | None:
    """The container once `done` says so of it (None: gone). `seen` is told each look. Raises `Failure` after `seconds`."""
    for container in views(client, uuid, deadline=Deadline(seconds)):
        seen(container)
        if done(container):
            return container
    raise Failure(
        f"Container {uuid} is not done after {seconds:g} seconds; `zunctl show {uuid}` tells how it is, --timeout waits longer.",
        REFUSED,
    )


def _look(client: Client, uuid: str) -> Container | None:
    try:
        found: Container = client.get(container_path(uuid))
    except Failure as failure:
        if failure.exit_code == NOT_FOUND:
            return None
        raise
    return found
