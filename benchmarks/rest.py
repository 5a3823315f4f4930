# SPDX-License-Identifier: Apache-2.0
"""How fast lists and single containers are answered, against a bare ASGI application with a constant body of the same size.

    python benchmarks/rest.py [--seconds 2] [--rounds 3] [--json]

Both servers run alone on one worker, in turn, round by round, in the same run; every request carries a token.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from rest_load import Measured, load, requests_for

SERVER = Path(__file__).with_name("rest_server.py")
CHURN_PER_SECOND = 20


@dataclass
class Case:
    """What is asked, by how many connections, while how many containers a second change."""

    what: str
    project: str
    paths: list[str]
    connections: int
    churn: float = 0


@dataclass
class Result:
    """A case's figures of both servers."""

    case: Case
    size: int
    ours: Measured
    bare: Measured

    def row(self) -> dict[str, Any]:
        """As a table shows it."""
        return {
            "case": self.case.what,
            "bytes": self.size,
            "replies/s": round(self.ours.per_second),
            "p99 ms": round(self.ours.percentile(0.99), 2),
            "bare replies/s": round(self.bare.per_second),
            "bare p99 ms": round(self.bare.percentile(0.99), 2),
            "ratio": round(self.ours.per_second / self.bare.per_second, 2),
        }


@contextmanager
def server(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A server process with what it said of itself; it ends with the context."""
    command = [sys.executable, str(SERVER), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def size_of(port: int, path: str, token: str) -> int:
    """The size of an answer's body."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", headers={"X-Auth-Token": token, "OpenStack-API-Version": "container 1.40"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return len(response.read())


def cases(containers: dict[str, list[str]]) -> list[Case]:
    """What is measured."""
    one = [f"/v1/containers/{containers['thousand'][500]}"]
    many = [f"/v1/containers/{uuid}" for uuid in containers["thousand"]]
    listing = ["/v1/containers"]
    return [
        Case("list of 100", "hundred", listing, 16),
        Case("list of 1,000", "thousand", listing, 8),
        Case("list of 1,000, 20 changes/s", "thousand", listing, 8, CHURN_PER_SECOND),
        Case("show one", "thousand", one, 32),
        Case("show 1,000 in turn", "thousand", many, 32),
        Case("show 1,000 in turn, 20 changes/s", "thousand", many, 32, CHURN_PER_SECOND),
    ]


async def measure(
    case: Case,
    zun: tuple[subprocess.Popen[str], dict[str, Any]],
    bare_port: int,
    size: int,
    asked: argparse.Namespace,
) -> Result:
    """Both servers in turn."""
    process, facts = zun
    token = facts["tokens"][case.project]
    result = Result(case, size, Measured(), Measured())
    ours = requests_for(case.paths, facts["port"], token)
    bare = requests_for([f"/{size}"], bare_port, token)
    assert process.stdin is not None
    for _ in range(asked.rounds):
        result.bare.add(await load(bare_port, bare, case.connections, asked.seconds))
        process.stdin.write(f"churn {case.churn}\n")
        process.stdin.flush()
        result.ours.add(await load(facts["port"], ours, case.connections, asked.seconds))
        process.stdin.write("churn 0\n")
        process.stdin.flush()
    return result


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as directory, server("zun", directory) as zun:
        facts = zun[1]
        wanted = cases(facts["containers"])
        sizes = [size_of(facts["port"], case.paths[0], facts["tokens"][case.project]) for case in wanted]
        with (
            server("baseline", *map(str, sizes)) as (_, bare),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            for case, size in zip(wanted, sizes, strict=True):
                result = runner.run(measure(case, zun, bare["port"], size, asked))
                rows.append(result.row())
                if not asked.json:
                    print(" | ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    if asked.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
