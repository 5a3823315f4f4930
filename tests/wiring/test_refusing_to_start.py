# SPDX-License-Identifier: Apache-2.0
"""What keeps the service from starting is said in one line that tells what to do."""

import subprocess
import sys
from pathlib import Path


def refusal(*arguments: str) -> str:
    """Start the service, which must not start; what it says."""
    zund = str(Path(sys.executable).with_name("zund"))
    command = [zund, "all", "--runtime", "fake", "--listen", "127.0.0.1:0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    line = refusal("--state-dir", str(tmp_path / "file" / "state"))
    assert str(tmp_path / "file" / "state") in line
    assert "--state-dir" in line


def test_an_unknown_option_is_named(tmp_path: Path) -> None:
    (tmp_path / "zun.conf").write_text("[api]\nprot = 1\n")
    line = refusal("--state-dir", str(tmp_path), "--config", str(tmp_path / "zun.conf"))
    assert "[api] has no option `prot`" in line
