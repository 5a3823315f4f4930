# SPDX-License-Identifier: Apache-2.0
"""The authority says whose a key is; what a certificate says is its decision alone."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from zun.model import subjects
from zun.model.errors import Invalid, NotFound, Unavailable
from zun.pki import files, pem
from zun.pki.authority import BACKDATED, Authority, is_issued_by, utc
from zun.pki.facts import certificate_facts, facts_of
from zun.pki.granted import check_granted

NOW = utc(1_700_000_000.0)
DAY = 86_400


@pytest.fixture
def authority() -> Authority:
    return Authority.create("Test CA", NOW)


def test_a_certificate_serves_both_sides_and_signs_nothing(authority: Authority) -> None:
    key = pem.new_key()
    certificate = authority.issue(key.public_key(), "someone", hosts=["a.test", "10.0.0.1", "::1"], now=NOW, days=30)
    extensions = certificate.extensions
    usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usages) == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    facts = facts_of(certificate)
    assert facts.hosts == ("a.test", "10.0.0.1", "::1")
    assert (facts.not_before, facts.not_after) == ((NOW - BACKDATED).timestamp(), NOW.timestamp() + 30 * DAY)
    assert is_issued_by(certificate, authority.certificate)


def test_another_authority_of_the_same_title_is_another(authority: Authority) -> None:
    other = Authority.create("Test CA", NOW)
    certificate = other.issue(pem.new_key().public_key(), "someone", now=NOW, days=1)
    assert other.certificate.subject != authority.certificate.subject
    assert not is_issued_by(certificate, authority.certificate)


def test_a_certificate_that_is_no_authoritys_signs_nothing_that_counts(authority: Authority) -> None:
    key = pem.new_key()
    node = authority.issue(key.public_key(), "node-n1@00000001", now=NOW, days=30)
    with pytest.raises(Invalid, match="no authority's"):
        Authority(node, key)


def test_no_certificate_outlives_its_authority(authority: Authority) -> None:
    late = NOW + timedelta(days=3600)
    certificate = authority.issue(pem.new_key().public_key(), "someone", now=late, days=365)
    assert certificate.not_valid_after_utc == authority.certificate.not_valid_after_utc


@pytest.mark.parametrize("days", [-1, 3651])
def test_an_authority_out_of_its_time_says_so(authority: Authority, days: int) -> None:
    with pytest.raises(Unavailable, match="check this machine's clock"):
        authority.issue(pem.new_key().public_key(), "someone", now=NOW + timedelta(days=days), days=1)


@pytest.mark.parametrize(
    "host", ["", "a b", "*", "*.test", "http://a", "a:1", "a/b", "-a", "a..b", "x" * 254, "é.test"]
)
def test_what_is_no_host_gets_no_certificate(authority: Authority, host: str) -> None:
    with pytest.raises(Invalid, match="neither a host name nor an address"):
        authority.issue(pem.new_key().public_key(), "someone", hosts=[host], now=NOW, days=1)


def test_a_name_that_is_too_long_is_refused(authority: Authority) -> None:
    with pytest.raises(Invalid, match="shorter"):
        authority.issue(pem.new_key().public_key(), "x" * 65, now=NOW, days=1)


def test_the_longest_node_name_fits_a_certificate(authority: Authority) -> None:
    user = subjects.new_node_user("n" * 50)
    hosts = [subjects.node_host("n" * 50)]
    facts = facts_of(authority.issue(pem.new_key().public_key(), user, hosts=hosts, now=NOW, days=1))
    assert (facts.common_name, subjects.node_of_user(facts.common_name)) == (user, "n" * 50)


def test_authorities_are_made_once(tmp_path: Path) -> None:
    assert files.init_authorities(tmp_path, NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"ca.pem", "ca.key", "etcd-ca.pem", "etcd-ca.key"}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert not files.init_authorities(tmp_path, NOW)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "etcd-ca.key"])
def test_half_an_authority_is_not_made_whole_by_another(tmp_path: Path, name: str) -> None:
    files.init_authorities(tmp_path, NOW)
    (tmp_path / name).unlink()
    with pytest.raises(Invalid, match="restore it from your backup"):
        files.init_authorities(tmp_path, NOW)


def test_an_authority_whose_files_do_not_belong_together_is_refused(tmp_path: Path) -> None:
    for place in ("one", "two"):
        files.init_authorities(tmp_path / place, NOW)
    (tmp_path / "one/ca.key").write_bytes((tmp_path / "two/ca.key").read_bytes())
    with pytest.raises(Invalid, match="belongs to another certificate"):
        files.load_authority(tmp_path / "one")


def test_an_authority_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    files.init_authorities(tmp_path, NOW)
    (tmp_path / "ca.key").chmod(0o640)
    with pytest.raises(Invalid, match="can be read by others"):
        files.load_authority(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_damaged_files_are_named(tmp_path: Path, content: bytes) -> None:
    files.init_authorities(tmp_path, NOW)
    (tmp_path / "ca.key").write_bytes(content)
    with pytest.raises(Invalid, match=r"ca\.key holds no private key"):
        files.load_authority(tmp_path)
    (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(Invalid, match=r"ca\.pem holds no certificate"):
        files.load_authority(tmp_path)


def test_without_authority_the_next_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="zund ca init"):
        files.load_authority(tmp_path)


def both(directory: Path) -> tuple[Authority, Authority]:
    files.init_authorities(directory, NOW)
    return files.load_authority(directory), files.load_authority(directory, files.ETCD)


def test_what_is_issued_belongs_together(tmp_path: Path) -> None:
    main, own = both(tmp_path / "ca")
    out = tmp_path / "out"
    etcd = files.issue_etcd(own, out, name="e1", hosts=["10.0.0.1", "e1.test"], now=NOW, days=30)
    control = files.issue_control(main, own, out, name="c1", hosts=["c1.test"], now=NOW, days=30)
    assert {path.name for path in (*etcd.files, *control.files)} == {path.name for path in out.iterdir()}
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
    issued = (("etcd", "etcd-e1", own), ("control", "zun-control", main), ("store", "zun-control", own))
    for name, subject, authority in issued:
        certificate = pem.certificate_from_pem((out / f"{name}.pem").read_bytes(), name)
        key = pem.key_from_pem((out / f"{name}.key").read_bytes(), name)
        assert pem.public_bytes(certificate.public_key()) == pem.public_bytes(key.public_key())
        assert is_issued_by(certificate, authority.certificate)
        assert facts_of(certificate).common_name == subject


def test_what_etcd_trusts_has_signed_nothing_of_a_node(tmp_path: Path) -> None:
    main, own = both(tmp_path)
    node = main.issue(pem.new_key().public_key(), "node-n1@00000001", now=NOW, days=30)
    assert not is_issued_by(node, own.certificate)


@pytest.mark.parametrize(("name", "hosts"), [("E1", ["a"]), ("e/1", ["a"]), ("e1", []), ("e1", ["a b"])])
def test_an_etcd_server_without_good_name_and_hosts_gets_nothing(tmp_path: Path, name: str, hosts: list[str]) -> None:
    _, own = both(tmp_path / "ca")
    with pytest.raises(Invalid):
        files.issue_etcd(own, tmp_path / "out", name=name, hosts=hosts, now=NOW, days=30)


def test_facts_tell_when_a_new_certificate_is_due(tmp_path: Path) -> None:
    files.issue_control(*both(tmp_path), tmp_path, now=NOW, days=30)
    facts = certificate_facts(tmp_path / "control.pem")
    assert facts.valid(NOW.timestamp() - 299)
    assert not facts.valid(NOW.timestamp() - 301)
    assert not facts.due(NOW.timestamp() + 19 * DAY)
    assert facts.due(NOW.timestamp() + 20 * DAY)
    assert not facts.valid(facts.not_after)


def test_facts_of_what_is_no_certificate_are_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"none\.pem"):
        certificate_facts(tmp_path / "none.pem")
    (tmp_path / "bad.pem").write_bytes(b"x" * 100_000)
    with pytest.raises(Invalid, match=r"bad\.pem"):
        certificate_facts(tmp_path / "bad.pem")
    with pytest.raises(Unavailable, match="cannot be read"):
        certificate_facts(tmp_path)


def test_a_node_takes_only_what_is_its_own(authority: Authority) -> None:
    key = pem.new_key()

    def check(
        common_name: str, host: str, signer: Authority = authority, of: pem.PrivateKey = key, at: float = 0
    ) -> None:
        certificate = signer.issue(of.public_key(), common_name, hosts=[host], now=NOW, days=30)
        text = pem.certificate_to_pem(certificate).decode()
        check_granted(text, authority.certificate_pem, key=key, node="n1", now=NOW.timestamp() + at)

    check("node-n1@00000001", "node-n1")
    other = Authority.create("Test CA", NOW)
    for wrong, told in (
        (lambda: check("node-n1@00000001", "node-n1", other), "not signed by this installation"),
        (lambda: check("node-n1@00000001", "node-n1", authority, pem.new_key()), "for another key"),
        (lambda: check("node-n10@00000001", "node-n10"), "not for node n1"),
        (lambda: check("node-n1@00000001", "node-n2"), "not for node n1"),
        (lambda: check("zun-control", "node-n1"), "not for node n1"),
        (lambda: check("node-n1@00000001", "node-n1", authority, key, -400), "set the clock"),
    ):
        with pytest.raises(Invalid, match=told):
            wrong()
