# SPDX-License-Identifier: Apache-2.0
"""The runtime port: what every engine must be able to do for the agent.

Errors are those of `zun.model.errors` only: `NotFound` (no such container, image, path, network), `Conflict` (wrong state in
the engine, name taken, address in use), `Invalid` (the engine refuses the request as such), `Unsupported`, `Denied` (registry login
refused), `Unavailable` (the engine is away), `Timeout`. The suite in `contract.py` is what the words mean.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from zun.drivers.runtime.types import (
    Chunk,
    ContainerRequest,
    Credentials,
    ExecRequest,
    Fingerprint,
    ImageInfo,
    LogQuery,
    NetworkRequest,
    PathStat,
    PullProgress,
    RuntimeEvent,
    SandboxRequest,
    SandboxSeen,
    Seen,
    Stats,
    Top,
)


class Containers(Protocol):
    """Life of containers. A driver touches only containers made by this node (it is given an owner id and labels them)."""

    # describe
    async def fingerprint(self) -> Fingerprint:
        """What the engine can do and what its machine has."""

    # look
    async def inspect(self, handle: str) -> Seen:
        """One container now. Raises `NotFound`."""

    async def list(self) -> list[Seen]:
        """All containers of this owner, of every generation, running or not; those of capsules, too."""

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[RuntimeEvent]]:
        """What happens from now on to this owner's containers. Raises `Unavailable` when the stream breaks."""

    # run
    async def create(self, request: ContainerRequest) -> str:
        """Make it, not started; returns its handle. Making the same uuid and generation again returns the handle it has."""

    async def start(self, handle: str) -> None:
        """Start it; already running is no error."""

    async def stop(self, handle: str, timeout_seconds: int) -> None:
        """SIGTERM, then SIGKILL after the timeout; returns when it has ended; already ended is no error."""

    async def kill(self, handle: str, signal: str) -> None:
        """Send a signal (SIGHUP …); `Conflict` when it does not run."""

    async def pause(self, handle: str) -> None:
        """Freeze it; `Conflict` when it does not run."""

    async def unpause(self, handle: str) -> None:
        """Thaw it; `Conflict` when it is not paused."""

    async def update(self, handle: str, *, cpu: float | None, memory_mib: int | None, cpuset: str | None) -> None:
        """Change limits on the living container; None leaves a limit alone."""

    async def remove(self, handle: str) -> None:
        """Remove it with its anonymous volumes, killing it when it runs; absent is no error."""


class Pods(Protocol):
    """Sandboxes, which the containers of a capsule join. An engine without them lacks the capability `CAPSULES`."""

    async def create_sandbox(self, request: SandboxRequest) -> str:
        """Make it with its networks, ready; returns its handle. Making the same uuid and generation again returns the handle it has.

        Raises `Conflict` when the one it has is not ready: remove that first. Raises `NotFound` for a network, `Conflict` for an address.
        """

    async def inspect_sandbox(self, handle: str) -> SandboxSeen:
        """One sandbox now. Raises `NotFound`."""

    async def list_sandboxes(self, capsule: str = "") -> list[SandboxSeen]:
        """All sandboxes of this owner, or of one of its capsules: of every generation, ready or not."""

    async def remove_sandbox(self, handle: str) -> None:
        """Remove it with all containers in it, killing what runs; absent is no error."""


class Images(Protocol):
    """Images of the engine."""

    async def find(self, reference: str) -> ImageInfo:
        """The image if it is here. Raises `NotFound`, `Invalid` for a malformed reference."""

    async def pull(
        self, reference: str, credentials: Credentials | None, progress: Callable[[PullProgress], None]
    ) -> ImageInfo:
        """Fetch it (tag or digest). Raises `NotFound`, `Denied`, `Unavailable` (registry away)."""

    async def remove(self, reference: str) -> None:
        """Remove it; absent is no error; `Conflict` when a container uses it."""

    async def commit(self, handle: str, repository: str, tag: str) -> ImageInfo:
        """Make an image of a container's file system as it is (paused meanwhile when it runs)."""

    async def search(self, term: str, *, exact: bool) -> list[dict[str, object]]:
        """Images of the public registry: `name`, `description`, `metadata`. Raises `Unavailable`."""


class Networks(Protocol):
    """The engine's own networks."""

    async def attach(self, handle: str, request: NetworkRequest) -> None:
        """Plug a container in. Raises `NotFound` (network), `Conflict` (already there, address taken)."""

    async def detach(self, handle: str, network: str) -> None:
        """Unplug it. Raises `NotFound` when it is not on that network."""


class Plugger(Protocol):
    """Who plugs sandboxes in, for engines that have to call it themselves. Raises `NotFound` (not prepared), `Conflict`, `Unavailable`, `Timeout`."""

    async def plug(self, key: str, container_id: str, netns: str) -> None:
        """Give the namespace at the path `netns` the interfaces that were prepared under `key`. Doing it again changes nothing."""


class ByteSession(Protocol):
    """A live conversation with a process: exec or attach."""

    async def read(self) -> Chunk | None:
        """The next piece of output; None at the end."""

    async def write(self, data: bytes) -> None:
        """To the process's stdin; waits while it does not read (back-pressure). Raises `Conflict` after its end."""

    async def close_stdin(self) -> None:
        """End of input."""

    async def exit_code(self) -> int | None:
        """The process's exit code; call after `read` returned None. None when it is not known (a detached terminal)."""


PORT_REFUSED = "port-refused"
"""The code of a port that nothing listens on."""


class Tunnel(Protocol):
    """A connection to a port inside a container: bytes both ways, each way ended by itself. What is not read is not fetched either."""

    async def read(self) -> bytes | None:
        """The next bytes; None when the container's side says no more. Raises `Unavailable` when the connection broke."""

    async def write(self, data: bytes) -> None:
        """To the container; waits while it does not read (back-pressure). Raises `Conflict` after `end`; what it takes no more may be dropped."""

    async def end(self) -> None:
        """We say no more; what the container still says can be read. Again: nothing."""


class Streams(Protocol):
    """Live things."""

    def logs(self, handle: str, query: LogQuery) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """Log output, binary safe; with `follow` until the container ends."""

    async def exec_create(self, handle: str, request: ExecRequest) -> str:
        """Prepare a command; returns its id (64 lower-case hex). Raises `Conflict` when the container does not run."""

    def exec_start(self, exec_id: str) -> AbstractAsyncContextManager[ByteSession]:
        """Run a prepared command, once. Leaving the context lets it run on, unwatched."""

    async def exec_resize(self, exec_id: str, *, width: int, height: int) -> None:
        """Change the size of its terminal. Raises `NotFound`."""

    async def exec_kill(self, exec_id: str) -> None:
        """Kill the command's process (SIGKILL); what it has started goes on. One that does not run, or is not known, is no error.

        Raises `Unsupported` when its process is out of reach.
        """

    def attach(self, handle: str) -> AbstractAsyncContextManager[ByteSession]:
        """Talk to the container's own process."""

    async def resize(self, handle: str, *, width: int, height: int) -> None:
        """Change the size of the container's terminal."""

    def port_forward(self, handle: str, port: int) -> AbstractAsyncContextManager[Tunnel]:
        """Connect to a TCP port as the container itself would on its loopback (127.0.0.1, then ::1). Leaving ends the connection.

        Never reaches beyond the container's own network. Raises `Conflict` when it does not run, or (code `PORT_REFUSED`) nothing listens;
        `Unsupported` where a connection cannot be made from outside: no network of its own, a kernel of its own.
        """

    async def top(self, handle: str, ps_args: str | None) -> Top:
        """Its processes."""

    async def stats(self, handle: str) -> Stats:
        """What it uses now."""

    def get_archive(self, handle: str, path: str) -> AbstractAsyncContextManager[tuple[PathStat, AsyncIterator[bytes]]]:
        """A tar of what lies at `path`. Raises `NotFound`."""

    async def put_archive(self, handle: str, path: str, data: AsyncIterator[bytes]) -> None:
        """Unpack a tar into the directory `path`. Raises `NotFound`, `Invalid` (no directory, no tar)."""


class Runtime(Protocol):
    """An engine, opened. Implementations are made by their module's `open(...)`, which raises `Unavailable` with what to do."""

    @property
    def name(self) -> str:
        """Short name of the engine: docker, fake."""

    @property
    def containers(self) -> Containers:
        """Life of containers."""

    @property
    def pods(self) -> Pods | None:
        """Sandboxes; None for an engine that has none."""

    @property
    def images(self) -> Images:
        """Images."""

    @property
    def networks(self) -> Networks:
        """Networks."""

    @property
    def streams(self) -> Streams:
        """Live things."""

    async def close(self) -> None:
        """Let go of the engine; containers run on."""
