# SPDX-License-Identifier: Apache-2.0
"""What keeps the service from starting is said in one line that tells what to do."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from zun.base.clock import SystemClock
from zun.main import main
from zun.store import codec, keys
from zun.store.interface import Put
from zun.store.schema import UNDERSTOOD, StoreSchema
from zun.store.sqlite import SqliteStore

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
    (tmp_path / "zun.conf").write_text("[store]\ndriver = etcd\nendpoints = 192.0.2.1:2379\n")
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


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[api]\nmax_limit = many\n", ["[api] max_limit", "'many'"]),
        ("[api]\nmax_limit = 0\n", ["[api] max_limit", "equal to 1"]),
        ("[store]\ndriver = mysql\n", ["[store] driver", "'mysql'", "sqlite"]),
        ("[compute]\nrestart_delay_seconds = -1\n", ["[compute] restart_delay_seconds = -1"]),
        (
            "[compute]\nheal_delay_seconds = 90\n",
            ["[compute]", "heal_delay_seconds (90)", "heal_delay_cap_seconds (60)"],
        ),
        ("[containers]\nminimum_cpu = 20\n", ["[containers]", "minimum_cpu (20)", "maximum_cpu (16)"]),
        ("[containers]\ndefault_memory = 9000\n", ["[containers]", "default_memory (9000)", "maximum_memory (8192)"]),
        ("[api]\ntrusted_proxies = 10.0.0.300\n", ["[api]", "trusted_proxies", "10.0.0.300"]),
        ("[docker]\ntls_cert = /x\n", ["[docker]", "tls_cert", "tls_ca"]),
        ("no section\n", ["cannot be read", "no section headers"]),
        ("[api]\nport\n", ["cannot be read", "zun.conf:2"]),
    ],
)
def test_what_is_wrong_in_the_file_is_named_in_one_line(
    tmp_path: Path, written: str, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "zun.conf").write_text(written)
    assert main(["config", "check", "--config", str(tmp_path / "zun.conf"), "--state-dir", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert all(part in line for part in said), line


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[docker]\nurl = tcp://127.0.0.1:1\ntls_ca = /nowhere\n", ["[docker] tls_ca = /nowhere", "No such file"]),
        ("[runtime]\ndriver = fake\n[policy]\npolicy_file = /nowhere\n", ["[policy] policy_file", "/nowhere"]),
    ],
)
def test_a_file_that_an_option_names_and_nobody_can_read_is_named(
    tmp_path: Path, written: str, said: list[str]
) -> None:
    (tmp_path / "zun.conf").write_text(written)
    options = ["--config", str(tmp_path / "zun.conf"), "--state-dir", str(tmp_path / "state")]
    line = refusal_of("all", "--listen", "127.0.0.1:0", *options)
    assert all(part in line for part in said), line


def test_a_wrong_option_of_the_command_line_is_not_blamed_on_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["controller", "--metrics", "nowhere", "--state-dir", str(tmp_path)]) == 1
    assert "the command line" in (said := capsys.readouterr().err)
    assert "[metrics]: 'nowhere' is no host:port" in said
    assert main(["all", "--listen", "127.0.0.1:70000", "--state-dir", str(tmp_path)]) == 1
    assert "--listen: '127.0.0.1:70000' is no host:port" in capsys.readouterr().err


def test_a_store_of_a_newer_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async def become_newer() -> None:
        store = await SqliteStore.open(tmp_path / "state.db", SystemClock())
        schema = StoreSchema(needs=UNDERSTOOD + 1, by="9.0")
        await store.transact([], [Put(keys.SCHEMA, codec.encode(schema))])
        await store.close()

    asyncio.run(become_newer())
    line = refusal("--state-dir", str(tmp_path))
    assert "Zun 9.0" in line
    assert "Upgrade" in line


def on_a_disk(tmp_path: Path, prepared: str, *arguments: str) -> str:
    """Start a service whose state directory lies on a file system of its own, made by shell commands; what it says."""
    mounted = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, timeout=60, check=False)
    if mounted.returncode:
        pytest.skip(f"no file systems can be mounted here: {mounted.stderr.strip()}")
    (tmp_path / "disk").mkdir()
    script = f'set -e; disk={tmp_path}/disk; {prepared}; exec "$@"'
    command = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        script,
        "sh",
        ZUND,
        "all",
        "--runtime",
        "fake",
        "--listen",
        "127.0.0.1:0",
    ]
    done = subprocess.run(
        [*command, "--state-dir", str(tmp_path / "disk"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_a_full_disk_is_named_and_nothing_is_begun(tmp_path: Path) -> None:
    line = on_a_disk(tmp_path, "mount -t tmpfs -o size=128k none $disk")
    assert str(tmp_path / "disk") in line
    assert "No space left on device" in line
    assert "make room" in line


def test_a_disk_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    line = on_a_disk(tmp_path, "mount -t tmpfs -o ro none $disk")
    assert str(tmp_path / "disk") in line
    assert "cannot be written" in line


def test_a_damaged_key_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "master.key").write_bytes(b"short")
    line = refusal("--state-dir", str(tmp_path))
    assert "master.key" in line
    assert "restore it" in line
    assert (tmp_path / "master.key").read_bytes() == b"short"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "master.key").mkdir()
    line = refusal("--state-dir", str(tmp_path))
    assert str(tmp_path / "master.key") in line
    assert "Is a directory" in line
