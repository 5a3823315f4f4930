# SPDX-License-Identifier: Apache-2.0
"""The command line of the cluster; `scripts/cluster` sets up what it needs and calls it."""

import argparse
import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.cluster import RUNTIMES, Cluster
from lab.hosts import LabError
from lab.processes import until
from lab.showing import show

DEFAULT_DIRECTORY = Path("/srv/zun-cluster")
LOCK_SECONDS = 300
DEFAULT_PORT = 9527
HURTS = {
    "start": "switch a machine on, or start one process",
    "stop": "end a process, or all of a machine, gracefully",
    "restart": "stop and start",
    "kill9": "kill a process, or take a machine's power away",
    "freeze": "stop it in the middle of what it does",
    "thaw": "let a frozen one go on",
}


def main() -> int:
    """Run one command; gives the exit code."""
    arguments = _parser().parse_args()
    try:
        with _alone(arguments.directory):
            cluster = Cluster(
                arguments.directory, prefix=arguments.prefix, runtime=arguments.runtime, port=arguments.port, say=_say
            )
            return int(arguments.run(cluster, arguments) or 0)
    except LabError as error:
        print(f"zun: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/cluster", description="A cluster of machines on this machine.")
    parser.add_argument("--directory", type=Path, default=Path(os.environ.get("CLUSTER_DIR", DEFAULT_DIRECTORY)))
    parser.add_argument("--prefix", default="zun-cluster", help="of its namespaces; another for a second cluster")
    parser.add_argument("--runtime", choices=RUNTIMES, default=os.environ.get("CLUSTER_RUNTIME", "docker"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("CLUSTER_PORT", DEFAULT_PORT)))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, what: str, run: Callable[[Cluster, argparse.Namespace], int | None]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=what, description=what)
        made.set_defaults(run=run)
        return made

    add("up", "bring everything up that is not", _up)
    add("down", "end and remove everything, the state too", lambda cluster, _: cluster.down())
    add("status", "show machines, processes and cuts", lambda cluster, _: print(show(cluster)))
    for verb, what in HURTS.items():
        add(verb, what, lambda cluster, given: getattr(cluster, given.verb)(given.target)).add_argument("target")
        commands.choices[verb].set_defaults(verb=verb)
    cut = add(
        "cut",
        "drop all packets of a machine, or between two",
        lambda cluster, given: cluster.cut(given.name, given.other),
    )
    cut.add_argument("name")
    cut.add_argument("other", nargs="?", default="")
    heal = add(
        "heal", "let packets pass again, of a machine or of all", lambda cluster, given: cluster.heal(given.name)
    )
    heal.add_argument("name", nargs="?", default="")
    on = add("on", "run a command on a machine (without one: a shell)", _on)
    on.add_argument("name")
    on.add_argument("argv", nargs=argparse.REMAINDER)
    return parser


def _up(cluster: Cluster, _: argparse.Namespace) -> None:
    cluster.up()
    print(f"""
The cluster serves on {cluster.url}, through HAProxy. What to do next:
  zunctl   ZUN_STATE_DIR={cluster.directory} .venv/bin/zunctl run -it zun.local/busybox:latest sh
  look     scripts/cluster status         scripts/cluster on node1 docker ps
  hurt     scripts/cluster kill9 node1    scripts/cluster cut node2    (scripts/cluster --help shows the rest)
  stop     make cluster-stop""")


def _on(cluster: Cluster, given: argparse.Namespace) -> int:
    machine, _ = cluster.find(given.name)
    argv = [*machine.entering(), *(given.argv or ["bash"])]
    os.execvp(argv[0], argv)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Two commands on one cluster wait for each other. Raises `LabError`."""
    if os.geteuid() != 0:
        raise LabError("Namespaces take root; run this as root.")
    lock = until(lambda: _locked(directory), LOCK_SECONDS)
    if not lock:
        raise LabError(
            f"Another command has been at work on {directory} for {LOCK_SECONDS} s; see: fuser -v {directory}"
        )
    try:
        yield
    finally:
        os.close(lock)
        with suppress(OSError):  # nothing was made, or everything is gone already
            directory.rmdir()


def _locked(directory: Path) -> int:
    """The descriptor of the directory, locked; 0 while another command has it, or when that one has just removed it."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == directory.stat().st_ino:
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(lock)
    return 0


def _say(text: str) -> None:
    print(f"==> {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
