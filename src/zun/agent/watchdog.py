# SPDX-License-Identifier: Apache-2.0
"""`zund watchdog`: stops containers that may run elsewhere by now, when their agent cannot (docs/decisions/0028-who-may-run-what-and-when.md).

A process of its own, and the last one that works: it needs no engine, no network and no package, and keeps to modules that Python has loaded
anyway. The agent writes files below `<state-dir>/watchdog/`, which this file alone knows the form of:

    renewed           "<boot id> <t>": the node was in touch at t (seconds of CLOCK_BOOTTIME); one line of fixed width, written in place
    guarded/<uuid>    "<boot id> <handle> <pid> <start of the process> <delay>": pid 0 while it is not known
    killed/<uuid>     "<handle>": left here for the agent, who starts the container again when it may
    lock              held as long as a watchdog runs; its pid

It ends when there is nothing to do any more: no agent works with the state directory, and of what it was told nothing runs; or when the
directory is gone. One that an operator started (`zund watchdog`, `--stay`) ends with the directory only.
"""

import fcntl
import os
import signal
import sys
import time

DIRECTORY, RENEWED, GUARDED, KILLED, LOCK = "watchdog", "renewed", "guarded", "killed", "lock"
AGENT_LOCK = "agent.lock"  # in the state directory itself; an agent holds it while it works
PERIOD_SECONDS = 1.0
MOST_MARGIN_SECONDS = 10.0  # as zun.model.moving has it; a test sees to it that both agree
_SHORTEST_HANDLE = 12
_LINE = 96
_TRIES = 3
_LOOKS_BEFORE_IDLE = 15


def margin_seconds(delay: float) -> float:
    """How long before the end of the delay a container is stopped."""
    return min(MOST_MARGIN_SECONDS, delay / 3)


def boot_time() -> float:
    """Seconds since the machine started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Of this start of the machine."""
    return _read("/proc/sys/kernel/random/boot_id").strip() or "-"


def start_of(pid: int) -> int:
    """When a process began, in the kernel's ticks; 0 when there is none. A pid may be given away again, with another start."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 and fields[0] not in "ZX" else 0


def renewed_line(boot: str, at: float) -> bytes:
    """What stands in `renewed`."""
    return f"{boot} {at:.3f}".ljust(_LINE).encode() + b"\n"


def guarded_line(boot: str, handle: str, pid: int, started: int, delay: float) -> str:
    """What stands in a file of `guarded`."""
    return f"{boot} {handle} {pid} {started} {delay:g}\n"


class Guarded:
    """A container that is to be stopped in time."""

    __slots__ = ("delay", "handle", "pid", "started", "uuid")

    def __init__(self, uuid: str, handle: str, pid: int, started: int, delay: float) -> None:
        self.uuid = uuid
        self.handle = handle
        self.pid = pid
        self.started = started
        self.delay = delay


def read_renewed(directory: str, boot: str) -> "float | None":
    """When the node was last in touch; None when that is not known of this start of the machine."""
    words = _read(f"{directory}/{RENEWED}").split()
    if len(words) != 2 or words[0] != boot:
        return None
    return _number(words[1])


def read_guarded(directory: str, boot: str) -> "list[Guarded]":
    """The containers of this start of the machine. A file that cannot be read is not there, or is just being written."""
    found = []
    for uuid in _names(f"{directory}/{GUARDED}"):
        words = _read(f"{directory}/{GUARDED}/{uuid}").split()
        if len(words) != 5 or words[0] != boot or not words[2].isdigit() or not words[3].isdigit():
            continue
        delay = _number(words[4])
        if delay is not None:
            found.append(Guarded(uuid, words[1], int(words[2]), int(words[3]), delay))
    return found


def overdue(guarded: "list[Guarded]", renewed: float, now: float) -> "list[Guarded]":
    """Those that must not run any more."""
    return [one for one in guarded if now >= renewed + one.delay - margin_seconds(one.delay)]


def processes_of(one: Guarded, groups: "dict[int, str]") -> "list[int]":
    """The processes of a container: the one its agent knew, and whoever is in a control group named after it (a start the agent had no time to tell of).

    `groups`: every process with its control groups.
    """
    found = [pid for pid, group in groups.items() if _is_in(one.handle, group)]
    if one.pid and one.started and start_of(one.pid) == one.started and one.pid not in found:
        found.append(one.pid)
    return found


def control_groups() -> "dict[int, str]":
    """Every process with its control groups."""
    pids = [int(name) for name in _names("/proc") if name.isdigit()]
    return {pid: _read(f"/proc/{pid}/cgroup") for pid in pids}


def look(directory: str, boot: str, now: float, said: "set[int]") -> None:
    """Stop what must not run any more. `said`: the processes whose killing was told already (a frozen one dies late)."""
    renewed = read_renewed(directory, boot)
    if renewed is None or now - renewed < PERIOD_SECONDS:
        said.clear()
        return
    due = overdue(read_guarded(directory, boot), renewed, now)
    groups = control_groups() if due else {}
    for one in due:
        for pid in processes_of(one, groups):
            note(directory, one)
            error = _kill(pid)
            if pid not in said:
                said.add(pid)
                _say(f"container {one.uuid}: process {pid}: {error or 'killed: the node was out of touch too long'}")


def note(directory: str, one: Guarded) -> None:
    """Let the agent know, before it is done. Should that fail (a full disk), killing matters more."""
    try:
        with open(f"{directory}/{KILLED}/{one.uuid}", "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib is large
            file.write(one.handle + "\n")
    except OSError as error:
        _say(f"container {one.uuid}: no note could be left: {error}")


def _kill(pid: int) -> str:
    """Why it could not be killed; empty when it was, or is gone already."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return ""
    except OSError as error:
        return f"it cannot be killed: {error}"
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        return ""
    except OSError as error:
        return f"it cannot be killed: {error}"
    finally:
        os.close(descriptor)
    return ""


def _is_in(handle: str, groups: str) -> bool:
    """Whether a path of control groups has a part named after the container: `/docker/<id>`, `docker-<id>.scope`, `/zun/<handle>/<id>`."""
    if len(handle) < _SHORTEST_HANDLE or not handle.replace("-", "").replace(".", "").isalnum():
        return False
    before, found, after = groups.partition(handle)
    return bool(found) and not before[-1:].isalnum() and not after[:1].isalnum()


def _number(word: str) -> "float | None":
    try:
        return float(word)
    except ValueError:
        return None


def _names(directory: str) -> "list[str]":
    try:
        return os.listdir(directory)  # noqa: PTH208 - pathlib is large
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib is large
            return file.read(65536)
    except OSError:
        return ""


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} watchdog: {text}\n")
    sys.stderr.flush()


def is_idle(state_dir: str, boot: str, now: float) -> bool:
    """Whether nothing is left to do: no agent works, and whatever had to stop has stopped."""
    if not _is_free(f"{state_dir}/{AGENT_LOCK}"):
        return False
    directory = f"{state_dir}/{DIRECTORY}"
    renewed, guarded = read_renewed(directory, boot), read_guarded(directory, boot)
    if renewed is None or not guarded:
        return True
    if len(overdue(guarded, renewed, now)) < len(guarded):
        return False
    groups = control_groups()
    return not any(processes_of(one, groups) for one in guarded)


def _is_free(path: str) -> bool:
    """Whether nobody holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _lock(directory: str, *, stay: bool) -> int:
    """The lock's descriptor, or −1 when another watchdog has it, and not just because it is about to end. Who stays waits for it."""
    descriptor = os.open(f"{directory}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    tries = 0
    while stay or tries < _TRIES:
        tries += 1
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PERIOD_SECONDS)
            continue
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return descriptor
    os.close(descriptor)
    return -1


def _is_ours(directory: str, lock: int) -> bool:
    """Whether the directory is still the one that was locked: a state directory that was removed needs no watchdog."""
    try:
        return os.stat(f"{directory}/{LOCK}").st_ino == os.fstat(lock).st_ino  # noqa: PTH116 - pathlib is large
    except OSError:
        return False


def _hard_to_kill() -> None:
    """The kernel shall choose others when memory is short; only root may ask for that."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib is large
            file.write("-1000")
    except OSError:
        return


def main(state_dir: str, *, stay: bool = False) -> int:
    """Watch until there is nothing to do. Ends soon when another one watches already. With `stay`, both are waited out."""
    if not os.path.isdir(state_dir):  # noqa: PTH112 - pathlib is large
        _say(f"there is no state directory {state_dir}; give the one of the node with --state-dir")
        return 1
    directory = f"{state_dir}/{DIRECTORY}"
    for path in (directory, f"{directory}/{GUARDED}", f"{directory}/{KILLED}"):
        os.makedirs(path, mode=0o700, exist_ok=True)  # noqa: PTH103 - pathlib is large
    lock = _lock(directory, stay=stay)
    if lock < 0:
        return 0
    _hard_to_kill()
    boot = boot_id()
    said: set[int] = set()
    looks = 0
    while _is_ours(directory, lock):
        look(directory, boot, boot_time(), said)
        time.sleep(PERIOD_SECONDS)
        looks += 1
        if not stay and looks % _LOOKS_BEFORE_IDLE == 0 and is_idle(state_dir, boot, boot_time()):
            return 0
    return 0


def detach() -> None:
    """Go on as a process of its own, in a session of its own; who started it need not wait."""
    if os.fork():
        os._exit(0)
    os.setsid()


if __name__ == "__main__":
    if "--detach" in sys.argv[2:]:
        detach()
    sys.exit(main(sys.argv[1], stay="--stay" in sys.argv[2:]))
