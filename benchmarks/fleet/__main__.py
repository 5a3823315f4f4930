# SPDX-License-Identifier: Apache-2.0
"""A fleet measured: `python -m benchmarks.fleet [--nodes 5000] [--containers 100000] [--no-page]`. About half an hour."""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import report
from benchmarks.fleet import stretches, tables
from benchmarks.fleet.baseline import Replayed, asked, mark, replay
from benchmarks.rows import Part, Row, rate
from support.fleet.fleet import Fleet, fleet
from zun.store.etcd import rpc_pb2 as pb

PER_SECOND = 100.0
CONNECTIONS = 64
LOST_SHARE = 0.1
GROUPS = (
    "start",
    "creates, as fast",
    "the two halves",
    "creates, ",
    "etcd",
    "at rest",
    "memory",
    "another API server",
    "deletes",
    "loss",
)
"""The order in the table: how the names of groups begin."""


def say(text: str) -> None:
    """Where it is."""
    print(f"==> {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Run:
    """One fleet from its start to its end."""

    def __init__(self, made: Fleet, given: argparse.Namespace, directory: Path) -> None:
        self._fleet = made
        self._given = given
        self._directory = directory
        self._observer = made.child("observer", "--endpoint", made.cluster.endpoint)
        self._lag = made.child("lag", "--endpoint", made.cluster.endpoint)
        self._loads = [report.load()]
        self._single: Replayed
        self.rows: list[Row] = []

    @property
    def loads(self) -> list[float]:
        """How busy the machine was at some moments."""
        return self._loads

    def measure(self) -> None:
        """Everything, in the order in which the fleet fills."""
        given = self._given
        say(f"{given.nodes} nodes")
        seconds = self._fleet.start()
        what = f"{given.nodes:,} nodes until all work on their inboxes"
        self.rows.append(Row(group="start", measure=what, ours=f"{seconds:.0f} s"))
        self._rest("no containers")
        flood, requests, filled = self._flood()
        beside = self._again("ba", requests, given.sample)
        stream = self._stream(probe=flood.made[0][:2])
        say("one half after the other")
        self.rows += tables.of_stages(stretches.stages(self._fleet, given.sample, CONNECTIONS), given.sample)
        self._rest(f"{given.containers:,} containers")
        self._others([(uuid, token) for uuid, token, _ in stream.made])
        say("nobody but etcd, a bare client, and heartbeats alone")
        self._fleet.end()
        alone = self._again("al", requests, given.sample)
        self.rows += tables.of_rate(flood, beside, self._single, alone)
        group = "creates, as fast as it goes"
        self.rows.append(Row(group=group, measure="on the way there, containers/s", ours=rate(filled)))
        self.rows.append(tables.of_heartbeats(given.nodes, *stretches.heartbeats(self._fleet, given.nodes, given.rest)))

    def _flood(self) -> tuple[stretches.Flood, list[pb.TxnRequest], float]:
        """Fill the fleet, and as fast as it goes; what was asked of etcd in that last part; the rate up to there."""
        given, made = self._given, self._fleet
        say(f"creates, up to {given.containers}")
        stretches.flood(made, given.sample // 10, CONNECTIONS)
        filled = self._fill(given.containers - 2 * given.sample - given.stream)
        say("creates, as fast as it goes")
        mark(made, "flood")
        flood = stretches.flood(made, given.sample, CONNECTIONS)
        mark(made, "flooded")
        requests = asked(made, "flood", "flooded")
        self.rows += tables.of_transactions("as fast as it goes", requests, given.sample)
        return flood, requests, filled

    def _stream(self, probe: tuple[str, int]) -> stretches.Stream:
        """At an even pace; a bare client does that again, too."""
        given, made = self._given, self._fleet
        say(f"creates, {PER_SECOND:.0f} a second")
        mark(made, "stream")
        stream = stretches.stream(
            made, self._observer, self._lag, count=given.stream, per_second=PER_SECOND, probe=probe
        )
        mark(made, "streamed")
        requests = asked(made, "stream", "streamed")
        self._single = self._again("si", requests, given.stream)
        self.rows += tables.of_stream(stream, PER_SECOND)
        self.rows += tables.of_transactions(f"{PER_SECOND:.0f} a second", requests, given.stream)
        return stream

    def _others(self, victims: list[tuple[str, int]]) -> None:
        """What happens besides creates."""
        made = self._fleet
        say("another API server")
        took, held = stretches.new_api_server(made)
        what = f"until it serves; with {self._given.containers:,} containers"
        self.rows.append(Row(group="another API server", measure=what, ours=f"{took:.1f} s, {held / 2**20:.0f} MiB"))
        say("deletes")
        deleted = stretches.deletes(made, victims, CONNECTIONS)
        what = "until gone on the node, containers/s"
        self.rows.append(Row(group="deletes, as fast as it goes", measure=what, ours=rate(deleted)))
        say("loss")
        stretches.settle(self._observer)
        self.rows.append(tables.of_loss(stretches.loss(made, self._observer)))

    def _again(self, name: str, requests: list[pb.TxnRequest], containers: int) -> Replayed:
        say(f"a bare client does {len(requests)} transactions again")
        return replay(self._fleet, requests, self._directory, name, containers=containers)

    def _fill(self, count: int) -> float:
        """Containers that are only there; the rate of it all."""
        begin = time.monotonic()
        for start in range(0, count, self._given.sample):
            stretches.flood(self._fleet, min(self._given.sample, count - start), CONNECTIONS)
            self._loads.append(report.load())
            say(f"{min(count, start + self._given.sample)} containers, load average {self._loads[-1]:.1f}")
        return count / (time.monotonic() - begin)

    def _rest(self, when: str) -> None:
        self.rows.append(tables.of_memory(when, stretches.memory(self._fleet)))
        self.rows.append(tables.of_rest(self._given.nodes, when, stretches.at_rest(self._fleet, self._given.rest)))
        self._loads.append(report.load())


@contextmanager
def running(given: argparse.Namespace) -> Iterator[Run]:
    """A fleet of that size; the last process holds the nodes that get lost."""
    lost = int(given.nodes * LOST_SHARE)
    each, rest = divmod(given.nodes - lost, given.processes)
    shares = [each + (number < rest) for number in range(given.processes)]
    with tempfile.TemporaryDirectory(prefix="zun-fleet-") as name:
        directory = Path(name)
        with fleet(directory, shares=[*shares, lost], projects=given.projects) as made:
            yield Run(made, given, directory)


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks.fleet", description=__doc__)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--containers", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=3, help="for the nodes; the tenth that gets lost has one more")
    parser.add_argument("--projects", type=int, default=8)
    parser.add_argument("--sample", type=int, default=10_000, help="containers of the measured flood")
    parser.add_argument("--stream", type=int, default=3000, help="containers of the even stretch")
    parser.add_argument("--rest", type=float, default=30.0, help="seconds of each look at a fleet at rest")
    parser.add_argument("--no-page", action="store_true", help=f"leave docs/{report.FLEET.name} as it is")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whatever ends it, it leaves no process behind
    machine = report.machine(report.etcd())
    with running(given) as run:
        run.measure()
    rows = sorted(run.rows, key=lambda row: [row.group.startswith(group) for group in GROUPS].index(True))
    parts = [Part(rows, conditions(given))]
    print(report.printed(parts))
    if not given.no_page:
        busy = f"Load average before the run {run.loads[0]:.1f}, at most {max(run.loads):.1f} in it."
        report.write(report.FLEET, parts, f"{machine} {busy}")


def conditions(given: argparse.Namespace) -> str:
    """What was simulated, and where."""
    return (
        f"one `zund api`, one `zund controller`, one etcd (default fsync) and {given.nodes:,} simulated nodes in {given.processes + 1} processes, all of "
        f"them and the client on this machine's cores; {given.projects} projects. A simulated node is the agent as it is, with its default "
        "options, on the fake engine; left out are the engine, a connection and a certificate of its own, the journal's wait for the disk, streams and the watchdog"
    )


if __name__ == "__main__":
    main()
