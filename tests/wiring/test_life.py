# SPDX-License-Identifier: Apache-2.0
"""A process ends when it is told to, also when a part of it does not."""

import signal
import subprocess
import sys
from pathlib import Path

_HANGS = """
import asyncio, sys
from pathlib import Path
from zun.config import Settings
from zun.wiring.life import House, run

async def build(settings, stack):
    async def hang():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                print("refuses", flush=True)

    async def end():
        try:
            await asyncio.sleep(3600)
        finally:
            print("ends", flush=True)

    async def ready():
        print("ready", flush=True)

    return House(greeting="", stages=[{"hanging": hang}, {"below": end}], ready=ready, stage_seconds=0.2)

sys.exit(run(Settings(state_dir=Path(sys.argv[1])), build))
"""


def test_a_part_that_does_not_stop_is_left_behind_after_the_others_stopped(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HANGS, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        said, complained = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.splitlines() == ["refuses", "ends"]
    assert "left behind: hanging" in complained
