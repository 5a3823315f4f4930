# SPDX-License-Identifier: Apache-2.0
"""A storm over a node of its own: `python -m pods --pods 100 --seed 7 --engine containerd`. Takes root, and a network namespace of its own."""

import argparse
import os
import random
import signal
import sys
import tempfile
from pathlib import Path

from chaos.timeline import Timeline
from pods.node import ENGINES, NETWORKS, node
from pods.storm import Storm

_OWN = "ZUN_PODS_OWN_NETWORK"


def main() -> int:
    """Run; the exit code is 1 when something went wrong or is left."""
    parser = argparse.ArgumentParser(prog="pods", description=__doc__)
    parser.add_argument("--pods", type=int, default=100, help="capsules (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, help="of the moments when processes are killed (default: any; it is printed)"
    )
    parser.add_argument("--engine", choices=ENGINES, default="containerd")
    parser.add_argument(
        "--network", choices=NETWORKS, default="engine", help="who plugs capsules in: the engine, or zun-cni"
    )
    parser.add_argument("--kills", type=int, default=0, help="of each process; 0: as long as there are capsules")
    given = parser.parse_args()
    seed = random.randrange(10**6) if given.seed is None else given.seed
    if not os.environ.get(_OWN):
        _in_own_network(seed)
    for number in (signal.SIGINT, signal.SIGTERM):  # what was begun is cleared away
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    again = f"make pods-storm PODS={given.pods} SEED={seed} ENGINE={given.engine} NETWORK={given.network}"
    print(f"==> {again}; load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="zun-pods-") as name:
        directory = Path(name)
        with node(directory, given.engine, given.network) as made:
            verdict = Storm(made, Timeline(directory / "timeline", aloud=True)).rage(seed, given.pods, given.kills)
            if verdict.faults:
                print(f"    the end of the service's log:\n{made.service.said()}")
    for fault in verdict.faults:
        print(f"    FAULT: {fault}")
    kills = ", ".join(f"{name} {times} times" for name, times in verdict.kills.items())
    how = f"{len(verdict.faults)} FAULTS" if verdict.faults else "nothing is left"
    print(
        f"==> seed {seed}: {given.pods} capsules in {verdict.seconds:.0f} s; killed: {kills}; load {os.getloadavg()[0]:.1f}; {how}",
        flush=True,
    )
    return 1 if verdict.faults else 0


def _in_own_network(seed: int) -> None:
    """Begin again in a network namespace of our own, with the same seed; it goes when the last process in it ends."""
    script = 'ip link set lo up && exec "$@"'
    words = [
        "unshare",
        "--net",
        "sh",
        "-c",
        script,
        "sh",
        sys.executable,
        "-m",
        "pods",
        *sys.argv[1:],
        "--seed",
        str(seed),
    ]
    os.execvpe(words[0], words, os.environ | {_OWN: "1"})


if __name__ == "__main__":
    sys.exit(main())
