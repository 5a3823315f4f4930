# SPDX-License-Identifier: Apache-2.0
"""The systemd units: they fit the command line, and are put in place as often as one likes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zun.main import main

ROOT = Path(__file__).parents[2]
ZUND = Path(sys.executable).with_name("zund")
UNITS = sorted((ROOT / "systemd").glob("*.service"))


def install(root: Path, *roles: str) -> str:
    command = [ROOT / "scripts/install-units", "--root", root, *roles]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_units_are_put_in_place_and_a_second_time_nothing_is_written(tmp_path: Path) -> None:
    install(tmp_path, "api", "controller", "gate", "compute")
    names = {path.name for path in (tmp_path / "etc/systemd/system").iterdir()}
    assert names == {path.name for path in UNITS}
    again = install(tmp_path, "api", "controller", "gate", "compute")
    assert "written" not in again
    unit = (tmp_path / "etc/systemd/system/zun-api.service").read_text()
    assert f"ExecStart={ROOT}/.venv/bin/zund api " in unit


def test_a_configuration_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/zun.conf").write_text("mine")
    install(tmp_path, "controller")
    assert (tmp_path / "etc/zun.conf").read_text() == "mine"


@pytest.mark.parametrize("role", ["api", "controller", "gate", "compute"])
def test_the_command_of_a_unit_is_one_that_exists(
    role: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It gets as far as reading its configuration, which is not there."""
    unit = (ROOT / f"systemd/zun-{role}.service").read_text()
    found = re.search(r"^ExecStart=/usr/bin/zund (.*)$", unit, re.MULTILINE)
    assert found is not None
    words = found[1].replace("/etc/", f"{tmp_path}/").split()
    assert words[0] == role
    assert main(words) == 1
    assert "cannot be read: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("path", UNITS, ids=lambda path: str(path.stem))
def test_a_unit_waits_as_long_as_its_process_and_never_gives_up(path: Path) -> None:
    unit = path.read_text()
    assert "StartLimitIntervalSec=0\n" in unit
    if "Type=notify" in unit:
        assert "TimeoutStartSec=infinity\n" in unit


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong() -> None:
    done = subprocess.run([ROOT / "scripts/check-units"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
