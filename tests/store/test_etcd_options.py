# SPDX-License-Identifier: Apache-2.0
"""Settings of etcd that cannot work are refused before anything is opened."""

from pathlib import Path

import pytest

from support.etcd_certificates import HOUR, Authority
from zun.base.clock import ManualClock, SystemClock
from zun.model.errors import Invalid
from zun.store.etcd.address import Address, addresses_of
from zun.store.etcd.tls import TlsFiles
from zun.store.options import StoreOptions


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:2379", Address("127.0.0.1", 2379)),
        (" localhost:1 ", Address("localhost", 1)),
        ("[::1]:2379", Address("::1", 2379)),
        ("http://127.0.0.1:2379", Address("127.0.0.1", 2379)),
    ],
)
def test_an_endpoint_is_a_host_and_a_port(text: str, address: Address) -> None:
    assert addresses_of(StoreOptions("etcd", (text,))) == (address,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        ":2379",
        "localhost:",
        "localhost:http",
        "localhost:0",
        "localhost:65536",
        "::1:2379",
        "[::g]:2379",
        "[localhost]:2379",
        "ftp://localhost:21",
        "localhost:1/path",
    ],
)
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="endpoint"):
        addresses_of(StoreOptions("etcd", (text,)))


def test_nothing_goes_over_a_network_without_tls() -> None:
    with pytest.raises(Invalid, match=r"10\.0\.0\.1:2379.*set ca_file"):
        addresses_of(StoreOptions("etcd", ("127.0.0.1:2379", "10.0.0.1:2379")))
    with pytest.raises(Invalid, match="etcd-1"):
        addresses_of(StoreOptions("etcd", ("etcd-1:2379",)))
    assert addresses_of(StoreOptions("etcd", ("etcd-1:2379",), ca_file="ca.pem"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (StoreOptions("etcd", ()), "endpoints is empty"),
        (StoreOptions("etcd", ("localhost:1", "localhost:1")), "twice"),
        (StoreOptions("etcd", cert_file="a", key_file="b"), "need ca_file"),
        (StoreOptions("etcd", ca_file="c", cert_file="a"), "go together"),
        (StoreOptions("etcd", ("https://127.0.0.1:2379",)), "contradict"),
        (StoreOptions("etcd", ("http://127.0.0.1:2379",), ca_file="c"), "contradict"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(options: StoreOptions, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        addresses_of(options)


def files(authority: Authority, cert: Path, key: Path, ca: Path | None = None) -> TlsFiles:
    options = StoreOptions("etcd", ca_file=str(ca or authority.ca_file), cert_file=str(cert), key_file=str(key))
    return TlsFiles(options, SystemClock())


def test_certificate_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one, other = authority.issue("one"), authority.issue("other")
    nonsense, absent = tmp_path / "nonsense", tmp_path / "absent"
    nonsense.write_text("nonsense")
    nonsense.chmod(0o600)
    for cert, key, ca, words in (
        (absent, one.key_file, None, "absent cannot be read"),
        (nonsense, one.key_file, None, "nonsense holds no certificate"),
        (one.cert_file, nonsense, None, "nonsense holds no private key"),
        (one.cert_file, other.key_file, None, "is not that of the certificate"),
        (one.cert_file, one.key_file, nonsense, "nonsense holds no certificate"),
    ):
        with pytest.raises(Invalid, match=words):
            files(authority, cert, key, ca).load()
    loaded = files(authority, one.cert_file, one.key_file).load()
    assert loaded.user == "one"
    assert "PRIVATE" not in repr(loaded), "no log line can hold the key"
    one.key_file.chmod(0o640)
    with pytest.raises(Invalid, match="can be read by others"):
        files(authority, one.cert_file, one.key_file).load()


def test_an_old_authority_beside_a_good_one_does_no_harm(tmp_path: Path) -> None:
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    ended = old.issue("old authority", begins=-3 * HOUR, ends=-HOUR)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(ended.cert_file.read_bytes() + new.ca_file.read_bytes())
    mine = new.issue("me")
    assert files(new, mine.cert_file, mine.key_file, bundle).load().ca == bundle.read_bytes()
    with pytest.raises(Invalid, match="ended on"):
        files(new, mine.cert_file, mine.key_file, ended.cert_file).load()


def test_a_clock_that_is_behind_is_told_from_a_certificate_that_ended(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    mine = authority.issue("me")
    options = StoreOptions(
        "etcd", ca_file=str(authority.ca_file), cert_file=str(mine.cert_file), key_file=str(mine.key_file)
    )
    now = SystemClock().now()
    for start, words in ((now - 3 * 24 * 3600, "set the clocks"), (now + 3 * 24 * 3600, "issue a new one")):
        with pytest.raises(Invalid, match=words):
            TlsFiles(options, ManualClock(start)).load()
