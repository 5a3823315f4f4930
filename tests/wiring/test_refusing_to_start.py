# SPDX-License-Identifier: Apache-2.0
"""What keeps the service from starting is said in one line that tells what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

ZUND = str(Path(sys.executable).with_name("zund"))


def refusal(*arguments: str) -> str:
    """Start the service in one process, which must not start; what it says."""
    return refusal_of("all", "--runtime", "fake", "--listen", "127.0.0.1:0", *arguments)


def refusal_of(*arguments: str) -> str:
    """Start a role, which must not start; what it says."""
    done = subprocess.run([ZUND, *arguments], capture_output=True, text=True, timeout=60, check=False)
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


@pytest.mark.parametrize("role", ["api", "controller", "compute"])
def test_a_role_of_its_own_wants_a_store_that_serves_several_processes(tmp_path: Path, role: str) -> None:
    line = refusal_of(role, "--state-dir", str(tmp_path))
    assert f"`zund {role}`" in line
    assert "driver = etcd" in line
    assert "zund all" in line


def test_an_etcd_without_encryption_is_used_on_this_machine_only(tmp_path: Path) -> None:
    (tmp_path / "zun.conf").write_text("[store]\ndriver = etcd\nendpoint = 192.0.2.1:2379\n")
    line = refusal_of("controller", "--state-dir", str(tmp_path), "--config", str(tmp_path / "zun.conf"))
    assert "192.0.2.1:2379" in line
    assert "loopback" in line


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "dot.", "a" * 64, "a/b"])
def test_a_node_name_that_cannot_stand_in_keys_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "zun.conf").write_text("[store]\ndriver = etcd\n")
    options = ("--runtime", "fake", "--state-dir", str(tmp_path), "--config", str(tmp_path / "zun.conf"))
    line = refusal_of("compute", f"--node-name={name}", *options)
    assert repr(name) in line
    assert "[compute] node_name" in line


KEYSTONE = "[identity]\ndriver = keystone\n[keystone_authtoken]\nauth_url = http://127.0.0.1:9\nusername = zun\n"


def test_a_keystone_that_is_not_said_where_it_is_or_how_to_log_in_is_no_identity(tmp_path: Path) -> None:
    for settings, missing in (("[identity]\ndriver = keystone\n", "auth_url"), (KEYSTONE, "password")):
        (tmp_path / "zun.conf").write_text(settings)
        line = refusal("--state-dir", str(tmp_path), "--config", str(tmp_path / "zun.conf"))
        assert f"[keystone_authtoken] {missing} is needed" in line


def test_a_dollar_in_a_password_is_explained_without_showing_the_password(tmp_path: Path) -> None:
    (tmp_path / "zun.conf").write_text(KEYSTONE + "password = my$secret\n")
    line = refusal("--state-dir", str(tmp_path), "--config", str(tmp_path / "zun.conf"))
    assert "[keystone_authtoken] password" in line
    assert "$$" in line
    assert "secret" not in line
