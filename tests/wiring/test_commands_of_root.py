# SPDX-License-Identifier: Apache-2.0
"""What root does in the state directory of a service that runs as another user, that user can read."""

import os
from pathlib import Path

import pytest

from zun.main import main

SOMEBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes in directories of others")
@pytest.mark.parametrize(
    "words",
    [["ca", "init"], ["ca", "issue", "control", "--host", "10.0.0.1"], ["user", "add", "alice", "--project", "p"]],
)
def test_files_that_root_writes_belong_to_who_has_the_directory(tmp_path: Path, words: list[str]) -> None:
    state = tmp_path / "state"
    assert main(["ca", "init", "--state-dir", str(state)]) == 0
    for path in (*state.iterdir(), state):
        os.chown(path, SOMEBODY, SOMEBODY)
    assert main([*words, "--state-dir", str(state)]) == 0
    assert [path.name for path in state.iterdir() if path.stat().st_uid != SOMEBODY] == []
    assert not [path.name for path in state.iterdir() if path.stat().st_mode & 0o077]
