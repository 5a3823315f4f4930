# SPDX-License-Identifier: Apache-2.0
"""A machine that joins checks what it gets, can be cut off at any moment, and tells what to do when it cannot join."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from zun.agent.joining import PATH, Applicant, Joining
from zun.agent.membership import Membership, MembershipFiles
from zun.base.backoff import Backoff
from zun.base.ids import new_uuid
from zun.base.sealing import MasterKey
from zun.model import subjects
from zun.model.errors import Conflict, Denied, Invalid, Unavailable, ZunError
from zun.pki import pem
from zun.pki.authority import Authority, utc
from zun.pki.certifier import NodeCertifier
from zun.pki.exchange import JoinAnswer, Signed, read_request, sign_answer
from zun.pki.tokens import JoinToken, new_token_id, secret_of

NOW = 1_700_000_000.0
KEY = MasterKey(bytes(32))


class ControlPlane:
    """What answers. `change` spoils an answer, `script` holds answers for the next requests."""

    def __init__(self) -> None:
        self.authority = Authority.create("Test CA", utc(NOW))
        self.certifier = NodeCertifier(self.authority, 365)
        self.asked: list[str] = []
        self.keys: list[str] = []
        self.script: list[Callable[[], tuple[int, bytes]]] = []
        self.change: Callable[[JoinAnswer], JoinAnswer] = lambda answer: answer
        self.key = KEY

    def token(self, name: str = "", urls: tuple[str, ...] = ("http://a.test:9517",)) -> JoinToken:
        token_id = new_token_id(NOW + 3600)
        return JoinToken(urls, token_id, secret_of(KEY, token_id), self.authority.fingerprint, name)

    def post(self, url: str, body: bytes) -> tuple[int, bytes]:
        self.asked.append(url)
        if self.script:
            return self.script.pop(0)()
        signed = msgspec.json.decode(body, type=Signed)
        secret = secret_of(self.key, signed.id)
        request = read_request(secret_of(KEY, signed.id), signed)
        self.keys.append(self.certifier.key_of(request.csr))
        user = subjects.new_node_user(request.node)
        certificate = self.certifier.certify(request.csr, node=request.node, user=user, now=NOW)
        answer = JoinAnswer(request.node, certificate, self.authority.certificate_pem, ("10.0.0.1:2379",), NOW)
        return 200, msgspec.json.encode(sign_answer(secret, signed, self.change(answer)))


@pytest.fixture
def control() -> ControlPlane:
    return ControlPlane()


@pytest.fixture
def files(tmp_path: Path) -> MembershipFiles:
    return MembershipFiles(tmp_path)


def joining(control: ControlPlane, files: MembershipFiles, token: JoinToken | None = None, now: float = NOW) -> Joining:
    return Joining(
        files,
        token or control.token(),
        now=lambda: now,
        post=control.post,
        wait=lambda _: None,
        again=Backoff(attempts=3),
    )


def machine(name: str = "n1") -> Applicant:
    return Applicant(name, new_uuid(), "ab" * 32)


def refusal(status: int, detail: str) -> Callable[[], tuple[int, bytes]]:
    body: dict[str, Any] = {"errors": [{"detail": detail}]}
    if status == 401:
        body = {"error": {"message": detail}}
    return lambda: (status, json.dumps(body).encode())


def unreachable() -> tuple[int, bytes]:
    raise Unavailable("nobody there")


def test_a_machine_joins_and_has_what_it_needs(control: ControlPlane, files: MembershipFiles) -> None:
    token = control.token()
    membership = joining(control, files, token).join(machine())
    assert membership == files.load() == Membership("n1", ("10.0.0.1:2379",), token.id)
    assert files.facts().hosts == ("node-n1",)
    assert pem.key_from_pem(files.certificate.read_bytes(), "it")
    assert control.asked == ["http://a.test:9517" + PATH]
    for path in (files.certificate, files.trusted, files.membership):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not files.next_key.exists()


def test_a_node_that_starts_again_with_its_token_asks_nobody(control: ControlPlane, files: MembershipFiles) -> None:
    token = control.token()
    first = joining(control, files, token).join(machine())
    assert joining(control, files, token).join(machine()) == first
    assert len(control.asked) == 1


def test_without_a_name_the_tokens_counts(control: ControlPlane, files: MembershipFiles) -> None:
    assert joining(control, files, control.token("n7")).join(machine("")).node == "n7"


def test_a_name_beside_the_tokens_is_refused_before_anybody_is_asked(
    control: ControlPlane, files: MembershipFiles
) -> None:
    with pytest.raises(Conflict, match="made for node n7"):
        joining(control, files, control.token("n7")).join(machine("n1"))
    with pytest.raises(Invalid, match="cannot be the name of a node"):
        joining(control, files).join(machine("N1"))
    assert control.asked == []


def test_a_machine_that_was_cut_off_asks_again_with_the_same_key(control: ControlPlane, files: MembershipFiles) -> None:
    token = control.token()

    def lost() -> tuple[int, bytes]:
        raise KeyboardInterrupt

    control.script = [lost]
    with pytest.raises(KeyboardInterrupt):
        joining(control, files, token).join(machine())
    pending = files.pending_key()
    joining(control, files, token).join(machine())
    assert control.keys == [control.certifier.key_of(_request(pending))]


def test_a_machine_that_was_cut_off_while_writing_keeps_its_key(control: ControlPlane, files: MembershipFiles) -> None:
    token = control.token()
    joining(control, files, token).join(machine())
    key = pem.key_from_pem(files.certificate.read_bytes(), "it")
    files.membership.unlink()  # as if it had never been written
    files.next_key.write_bytes(pem.key_to_pem(key))
    joining(control, files, token).join(machine())
    assert len(set(control.keys)) == 1


def test_another_token_lets_a_node_join_anew_under_its_name_only(control: ControlPlane, files: MembershipFiles) -> None:
    joining(control, files).join(machine())
    before = files.facts().serial
    joining(control, files, control.token("n1")).join(machine())
    assert files.facts().serial != before
    with pytest.raises(Conflict, match="This machine is node n1"):
        joining(control, files, control.token("n2")).join(machine(""))


def test_of_several_apis_the_first_that_answers_is_taken(control: ControlPlane, files: MembershipFiles) -> None:
    control.script = [unreachable, refusal(503, "too many")]
    urls = ("http://a.test", "http://b.test/", "https://c.test/container")
    joining(control, files, control.token(urls=urls)).join(machine())
    assert control.asked == ["http://a.test" + PATH, "http://b.test" + PATH, "https://c.test/container" + PATH]


def test_who_is_never_reached_is_given_up(control: ControlPlane, files: MembershipFiles) -> None:
    control.script = [unreachable] * 10
    with pytest.raises(Unavailable, match="nobody there"):
        joining(control, files).join(machine())
    assert len(control.asked) == 4
    assert files.load() is None


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Invalid), (401, Denied), (403, Denied), (409, Conflict), (404, Invalid), (302, Invalid)]
)
def test_a_refusal_is_final_and_told(
    control: ControlPlane, files: MembershipFiles, status: int, kind: type[ZunError]
) -> None:
    control.script = [refusal(status, "the reason\x1b[31m")]
    with pytest.raises(kind, match="no such URL" if status == 404 else "the reason") as refused:
        joining(control, files).join(machine())
    assert len(control.asked) == 1
    assert "\x1b" not in refused.value.message
    assert files.load() is None


@pytest.mark.parametrize("body", [b"", b"nonsense", b"{}", b'{"id":"x","body":"","mac":""}', b"[" * 5000])
def test_an_answer_that_the_service_did_not_give_is_not_accepted(
    control: ControlPlane, files: MembershipFiles, body: bytes
) -> None:
    control.script = [lambda: (200, body)] * 10
    with pytest.raises(Unavailable, match="does not know this token's secret"):
        joining(control, files).join(machine())
    assert files.load() is None


def test_a_service_with_another_master_key_is_not_believed(control: ControlPlane, files: MembershipFiles) -> None:
    control.key = MasterKey(b"\x01" * 32)
    with pytest.raises(Unavailable, match="does not know this token's secret"):
        joining(control, files).join(machine())


def _other_authority(control: ControlPlane) -> Callable[[JoinAnswer], JoinAnswer]:
    other = Authority.create("Test CA", utc(NOW))
    return lambda answer: msgspec.structs.replace(answer, trusted=other.certificate_pem)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_other_authority, "another one than the token names"),
        (lambda _: lambda answer: msgspec.structs.replace(answer, node="n2"), "does not fit"),
        (lambda _: lambda answer: msgspec.structs.replace(answer, endpoints=()), "does not fit"),
        (lambda _: lambda answer: msgspec.structs.replace(answer, certificate="x"), "no certificate"),
        (
            lambda _: lambda answer: msgspec.structs.replace(answer, certificate=answer.trusted),
            "for another key|is for",
        ),
        (lambda _: lambda answer: msgspec.structs.replace(answer, at=NOW + 301), "301 s behind the service's"),
    ],
)
def test_what_does_not_fit_is_not_kept(
    control: ControlPlane,
    files: MembershipFiles,
    spoil: Callable[[ControlPlane], Callable[[JoinAnswer], JoinAnswer]],
    told: str,
) -> None:
    control.change = spoil(control)
    with pytest.raises(Invalid, match=told):
        joining(control, files).join(machine())
    assert files.load() is None


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a", "a.test", "http://"])
def test_a_token_whose_url_is_none_is_refused(control: ControlPlane, files: MembershipFiles, url: str) -> None:
    with pytest.raises(Invalid, match="no URL"):
        joining(control, files, control.token(urls=(url,)))


def test_a_damaged_membership_is_named(files: MembershipFiles) -> None:
    files.membership.write_bytes(b"{}")
    with pytest.raises(Invalid, match=r"membership\.json is damaged"):
        files.load()


def _request(key: pem.PrivateKey) -> str:
    from zun.pki.requests import new_request

    return new_request(key, "x")
