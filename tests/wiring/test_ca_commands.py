# SPDX-License-Identifier: Apache-2.0
"""`zund ca`: an operator makes authorities and certificates, may repeat every step, and is told the next one."""

from pathlib import Path

import pytest

from zun.main import main
from zun.pki.facts import certificate_facts


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["ca", *words])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_the_steps_of_an_installation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(tmp_path / "state")
    code, told = run(capsys, "init", "--state-dir", state)
    assert (code, "Next: zund ca issue control" in told) == (0, True)
    before = (tmp_path / "state/ca.key").read_bytes()
    code, told = run(capsys, "init", "--state-dir", state)
    assert (code, "There are already" in told, (tmp_path / "state/ca.key").read_bytes()) == (0, True, before)
    for _ in range(2):
        code, _ = run(capsys, "issue", "control", "--state-dir", state, "--host", "10.0.0.1", "--host", "c1.test")
        assert code == 0
    assert certificate_facts(tmp_path / "state/control.pem").hosts == ("c1.test", "10.0.0.1")
    out = tmp_path / "e1"
    words = ("issue", "etcd", "--state-dir", state, "--name", "e1", "--host", "10.0.0.1", "--out", str(out))
    assert run(capsys, *words, "--days", "30")[0] == 0
    assert {path.name for path in out.iterdir()} == {"etcd.pem", "etcd.key", "etcd-ca.pem"}
    code, told = run(capsys, "show", "--state-dir", state, str(out / "etcd.pem"))
    assert (code, "etcd-e1" in told, "30 days left" in told) == (0, True, True)
    code, told = run(capsys, "show", "--state-dir", state)
    assert (code, told.count("fingerprint")) == (0, 4)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["issue", "control"], "zund ca init"),
        (["issue", "etcd", "--name", "e1", "--host", "a", "--out", "{}"], "zund ca init"),
        (["show"], "There are no certificates"),
        (["show", "{}/none.pem"], "There is no file"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    filled = [word.format(tmp_path) for word in words]
    code, said = run(capsys, *filled, "--state-dir", str(tmp_path))
    assert (code, told in said) == (1, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--name", "E1", "--host", "a"], "cannot be the name"),
        (["--name", "e1"], "--host"),
        (["--name", "e1", "--host", "http://a"], "neither a host name nor an address"),
        (["--name", "e1", "--host", "a", "--days", "0"], "lives 1 to"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    run(capsys, "init", "--state-dir", str(tmp_path))
    out = tmp_path / "out"
    code, said = run(capsys, "issue", "etcd", "--state-dir", str(tmp_path), "--out", str(out), *words)
    assert (code, told in said, out.exists()) == (1, True, False)
