# SPDX-License-Identifier: Apache-2.0
"""A node that binds networks itself: in one process with everything else, or beside a daemon of its own; and what keeps it from starting."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.network_machine import Namespace
from support.service import eventually

ZUND = str(Path(sys.executable).with_name("zund"))


@contextmanager
def all_in_one(namespace: Namespace, directory: Path, settings: str) -> Iterator[Path]:
    """`zund all` in a namespace of its own; its log."""
    (directory / "zun.conf").write_text(settings)
    options = ("--runtime", "fake", "--listen", "127.0.0.1:0", "--config", str(directory / "zun.conf"))
    command = namespace.command(ZUND, "all", "--state-dir", str(directory / "state"), *options)
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            eventually(
                lambda: "zund is ready" in (directory / "log").read_text() or process.poll() is not None, "it starts"
            )
            yield directory / "log"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


@pytest.fixture
def namespace(needs_root: None) -> Iterator[Namespace]:
    made = Namespace("all")
    yield made
    made.close()


@pytest.mark.network
def test_a_node_runs_the_daemon_itself_when_its_networks_are_bound_by_zun_cni(
    namespace: Namespace, tmp_path: Path
) -> None:
    with all_in_one(namespace, tmp_path, "[network]\ndriver = cni\n") as log:
        assert "sandboxes are bound here" in log.read_text()
        assert (tmp_path / "state" / "cni" / "endpoint").stat().st_mode & 0o077 == 0
        assert "table inet zun" in namespace.run("nft", "list", "ruleset")
    assert "left behind" not in log.read_text()


@pytest.mark.network
def test_a_node_whose_daemon_is_another_process_or_whose_engine_has_networks_touches_nothing(
    namespace: Namespace, tmp_path: Path
) -> None:
    for number, settings in enumerate(("[network]\ndriver = cni\n[cni]\nseparate = true\n", "")):
        directory = tmp_path / str(number)
        directory.mkdir()
        with all_in_one(namespace, directory, settings) as log:
            assert "zund is ready" in log.read_text()
            assert namespace.run("nft", "list", "ruleset") == ""


def test_the_plugin_is_installed_where_an_operator_says(tmp_path: Path) -> None:
    command = [ZUND, "cni", "install", "--state-dir", str(tmp_path / "state")]
    folders = ["--bin-dir", str(tmp_path / "bin"), "--conf-dir", str(tmp_path / "conf")]
    done = subprocess.run([*command, *folders], capture_output=True, text=True, timeout=60, check=True)
    plugin, configuration = map(Path, done.stdout.split())
    asked = subprocess.run([plugin], input=b"{}", env={"CNI_COMMAND": "VERSION"}, capture_output=True, check=True)
    assert json.loads(asked.stdout)["supportedVersions"] == ["0.3.1", "0.4.0", "1.0.0"]
    assert json.loads(configuration.read_text()) == {
        "cniVersion": "1.0.0",
        "name": "zun",
        "plugins": [{"type": "zun-cni"}],
    }
    assert str(tmp_path / "state" / "cni" / "endpoint") in plugin.read_text()


def test_further_plugins_come_after_it(tmp_path: Path) -> None:
    from zun.cni.installing import install
    from zun.cni.options import CniOptions

    (tmp_path / "more.json").write_text('[{"type": "tuning", "sysctl": {"net.core.somaxconn": "500"}}]')
    options = CniOptions(conf_dir=str(tmp_path), chained=str(tmp_path / "more.json"))
    install(tmp_path / "endpoint", options)
    told = json.loads((tmp_path / "10-zun.conflist").read_text())
    assert [one["type"] for one in told["plugins"]] == ["zun-cni", "tuning"]
