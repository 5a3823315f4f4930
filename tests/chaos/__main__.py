# SPDX-License-Identifier: Apache-2.0
"""Storms over a cluster of its own: `python -m chaos --seed 7`, `--seeds 20`. Ends at the first fault, and says how to repeat it."""

import argparse
import os
import signal
import sys
from pathlib import Path

from chaos.storm import SETTINGS, Storm, Verdict, prepare
from lab.cluster import RUNTIMES, Cluster

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".cache" / "chaos"


def main() -> int:
    """Run; the exit code is 1 when a storm left a fault."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first one (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=1, help="so many, one after the other (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="of accidents, for each seed (default: %(default)s)")
    parser.add_argument("--runtime", choices=RUNTIMES, default="docker")
    parser.add_argument("--go-on", action="store_true", help="do not end at the first fault")
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # the cluster goes with us, also when we run in the background
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    name = f"chaos-{os.getpid()}"
    cluster = Cluster(
        ROOT / ".cache" / "clusters" / name, prefix=f"zun-{name}", runtime=given.runtime, settings=SETTINGS, say=_say
    )
    failed = []
    try:
        prepare(cluster)
        storm = Storm(cluster, KEPT / given.runtime, aloud=given.seeds == 1)
        for seed in range(given.seed, given.seed + given.seeds):
            verdict = storm.rage(seed, given.rounds)
            _say(f"seed {seed}: {f'{len(verdict.faults)} FAULTS' if verdict.faults else 'passed'}; {verdict.summary}")
            if verdict.faults:
                failed.append(seed)
                _complain(verdict, given)
                if not given.go_on:
                    break
    finally:
        cluster.down()
    return 1 if failed else 0


def _complain(verdict: Verdict, given: argparse.Namespace) -> None:
    kept = KEPT / given.runtime / f"seed-{verdict.seed}.txt"
    if given.seeds == 1:  # the timeline has been on the terminal
        print("\n".join(f"    FAULT: {fault}" for fault in verdict.faults))
    else:
        print(verdict.story)
    print(f"    what happened when: {kept}; logs and the customers' accounts are beside it")
    print(f"    again: make chaos SEED={verdict.seed} ROUNDS={given.rounds} RUNTIME={given.runtime}", flush=True)


def _say(text: str) -> None:
    print(f"==> {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
