# SPDX-License-Identifier: Apache-2.0
"""How long `zunctl --help` takes, beside a Python that does nothing.

python -m benchmarks.cli_start [--times 20]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.house import environment
from benchmarks.rows import Part, Row, milliseconds, percentile

ZUNCTL = Path(sys.executable).with_name("zunctl")
TARGET_SECONDS = 0.150


def took(command: list[str], bytecode: Path) -> float:
    """Seconds of one run."""
    begin = time.perf_counter()
    subprocess.run(command, env=environment(bytecode), stdout=subprocess.DEVNULL, timeout=30, check=True)
    return time.perf_counter() - begin


def run(bytecode: Path, times: int = 20) -> Part:
    """Both in turns; the first ones, which fill the bytecode, do not count."""
    helped, nothing = [str(ZUNCTL), "--help"], [sys.executable, "-c", "pass"]
    took(helped, bytecode)
    took(nothing, bytecode)
    pairs = [(took(helped, bytecode), took(nothing, bytecode)) for _ in range(times)]
    ours, bare = (percentile([pair[which] for pair in pairs], 0.5) for which in (0, 1))
    row = Row(
        group="zunctl",
        measure=f"`zunctl --help` against `python -c pass`, median of {times}",
        ours=milliseconds(ours),
        baseline=milliseconds(bare),
        ratio=f"{ours / bare:.1f}",
        target=f"≤ {TARGET_SECONDS * 1000:.0f} ms",
        met=ours <= TARGET_SECONDS,
    )
    return Part([row], "zunctl: whole processes, in turns, bytecode there")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zun-bench-pyc-") as bytecode:
        for row in run(Path(bytecode), given.times).rows:
            print(f"{row.measure}: {row.ours}, bare {row.baseline}, {row.ratio} times; {row.target}: {row.verdict}")


if __name__ == "__main__":
    main()
