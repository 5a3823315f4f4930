# SPDX-License-Identifier: Apache-2.0
"""Machines join with a token, once; whoever has none, or another's, or a used one, is told nothing."""

import asyncio
import base64
import logging
from collections.abc import Callable
from itertools import islice
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from support.api import ApiWorld, error_of
from support.joining import ENDPOINTS, JOIN, TOKENS, Machine, join, new_token, refusal, send
from zun.api.handlers.node_joining import MAX_BODY_BYTES
from zun.model.errors import Denied
from zun.model.records import NodeRecord
from zun.pki import pem
from zun.pki.authority import is_issued_by
from zun.pki.exchange import Signed, read_answer, sign_request
from zun.pki.facts import facts_of
from zun.pki.tokens import JoinToken, read_token
from zun.services.joining import DENIED
from zun.store import codec, keys
from zun.store.interface import Delete, Put

WORTHLESS = (401, DENIED)


async def record_of(api: ApiWorld, node: str) -> NodeRecord:
    found = await api.world.store.get(keys.node(node))
    assert found is not None
    return codec.decode(NodeRecord, found.value)


async def test_a_machine_with_a_token_becomes_a_node(api: ApiWorld) -> None:
    token = await new_token(api.admin)
    machine = Machine("n2")
    answer = await join(api.stranger, token, machine.request(api.clock.now()))
    authority = pem.certificate_from_pem(answer.trusted.encode(), "its authority")
    certificate = pem.certificate_from_pem(answer.certificate.encode(), "its certificate")
    assert pem.fingerprint(authority) == token.ca
    assert is_issued_by(certificate, authority)
    assert pem.public_bytes(certificate.public_key()) == pem.public_bytes(machine.key.public_key())
    record = await record_of(api, "n2")
    assert (record.public_key, record.number) == (machine.seal_key, 1)
    facts = facts_of(certificate)
    assert (facts.common_name, facts.hosts) == (record.user, ("node-n2",))
    assert api.gate.accounts.holders == {"n2": record.user}
    assert answer.endpoints == ENDPOINTS


async def test_a_token_names_the_url_where_it_was_asked_for(api: ApiWorld) -> None:
    assert (await new_token(api.admin)).urls == ("http://zun.test:9517",)


async def test_only_administrators_make_and_revoke_tokens(api: ApiWorld) -> None:
    for client in (api.member, api.reader, api.other):
        assert error_of(await client.post(TOKENS, json={})) == (403, "policy-not-authorized")
        assert error_of(await client.delete(f"{TOKENS}/0123456789abcdef.1700000000")) == (403, "policy-not-authorized")
    assert (await api.stranger.post(TOKENS, json={})).status_code == 401


@pytest.mark.parametrize(
    "members",
    [{"name": "N2"}, {"name": "a/b"}, {"name": "-a"}, {"name": "a..b"}, {"name": "a" * 51}, {"seconds": 59},
     {"seconds": 86_401}, {"colour": "red"}],
)  # fmt: skip
async def test_a_token_that_cannot_be_used_is_not_made(api: ApiWorld, members: dict[str, Any]) -> None:
    assert error_of(await api.admin.post(TOKENS, json=members))[0] == 400
    assert (await api.world.store.range(keys.JOIN_TOKENS)).items == ()


async def test_a_stolen_token_is_worth_nothing_once_it_was_used(api: ApiWorld) -> None:
    token = await new_token(api.admin)
    await join(api.stranger, token, Machine("n2").request(api.clock.now()))
    for thief in (Machine("n2"), Machine("n3")):
        assert await refusal(api.stranger, token, thief.request(api.clock.now())) == WORTHLESS
    assert set(api.gate.accounts.holders) == {"n2"}


async def test_a_machine_whose_answer_got_lost_asks_again_with_the_same_keys(api: ApiWorld) -> None:
    token = await new_token(api.admin)
    machine = Machine("n2")
    first = await join(api.stranger, token, machine.request(api.clock.now()))
    api.clock.advance(60)
    again = await join(api.stranger, token, machine.request(api.clock.now()))
    assert again.certificate == first.certificate
    assert (await record_of(api, "n2")).number == 1


async def test_asking_again_mends_an_account_that_was_not_made(api: ApiWorld) -> None:
    token = await new_token(api.admin)
    machine = Machine("n2")
    await join(api.stranger, token, machine.request(api.clock.now()))
    user = api.gate.accounts.holders.pop("n2")
    await join(api.stranger, token, machine.request(api.clock.now()))
    assert api.gate.accounts.holders == {"n2": user}


async def test_other_keys_are_another_machine(api: ApiWorld) -> None:
    token = await new_token(api.admin)
    machine = Machine("n2")
    await join(api.stranger, token, machine.request(api.clock.now()))
    for changed in ({"seal_key": "cd" * 32}, {"uuid": Machine("x").uuid}, {"csr": Machine("n2").request(0).csr}):
        assert await refusal(api.stranger, token, machine.request(api.clock.now(), **changed)) == WORTHLESS


async def test_a_removed_node_does_not_come_back_with_its_old_token(api: ApiWorld) -> None:
    token = await new_token(api.admin)
    machine = Machine("n2")
    await join(api.stranger, token, machine.request(api.clock.now()))
    await api.world.write(Delete(keys.node("n2")))
    assert await refusal(api.stranger, token, machine.request(api.clock.now())) == WORTHLESS
    assert api.gate.accounts.holders == {}


SERVICE = {"host": "n2", "binary": "zun-compute"}


async def test_a_removed_node_has_no_rights_and_leaves_nothing(api: ApiWorld) -> None:
    await join(api.stranger, await new_token(api.admin), Machine("n2").request(api.clock.now()))
    await api.world.node_returns("n2")  # it is at work
    await api.world.write(Put(keys.node_request("n2"), b"{}"), Put(keys.node_certificate("n2"), b"{}"))
    assert (await api.admin.delete("/v1/services", params=SERVICE)).status_code == 200
    assert api.gate.accounts.holders == {}
    for prefix in (keys.node_prefix("n2"), keys.inbox_prefix("n2"), keys.node("n2")):
        assert (await api.world.store.range(prefix)).items == ()
    await join(api.stranger, await new_token(api.admin), Machine("n2").request(api.clock.now()))


async def test_a_node_that_cannot_be_locked_out_at_once_is_removed_and_that_is_said(api: ApiWorld) -> None:
    await join(api.stranger, await new_token(api.admin), Machine("n2").request(api.clock.now()))
    api.gate.accounts.away = True
    answer = await api.admin.delete("/v1/services", params=SERVICE)
    assert error_of(answer)[0] == 503
    assert "is removed, but its account" in answer.text
    assert await api.world.store.get(keys.node("n2")) is None


async def test_a_token_ends(api: ApiWorld) -> None:
    token = await new_token(api.admin, seconds=60)
    api.clock.advance(62)
    assert await refusal(api.stranger, token, Machine("n2").request(api.clock.now())) == WORTHLESS


async def test_a_token_that_ended_by_itself_in_the_store_lets_nobody_in(api: ApiWorld) -> None:
    token = await new_token(api.admin)
    await api.world.write(Delete(keys.join_token(token.id)))
    assert await refusal(api.stranger, token, Machine("n2").request(api.clock.now())) == WORTHLESS


async def test_a_revoked_token_lets_nobody_in(api: ApiWorld) -> None:
    token = await new_token(api.admin)
    assert (await api.admin.delete(f"{TOKENS}/{token.id}")).status_code == 204
    assert await refusal(api.stranger, token, Machine("n2").request(api.clock.now())) == WORTHLESS
    assert error_of(await api.admin.delete(f"{TOKENS}/{token.id}"))[0] == 404
    assert error_of(await api.admin.delete(f"{TOKENS}/nonsense"))[0] == 404


async def test_a_name_that_is_taken_is_refused_unless_the_token_is_for_it(api: ApiWorld) -> None:
    old, new = Machine("n2"), Machine("n2")
    await join(api.stranger, await new_token(api.admin), old.request(api.clock.now()))
    before = await record_of(api, "n2")
    status, told = await refusal(api.stranger, await new_token(api.admin), new.request(api.clock.now()))
    assert (status, "zunctl node token --name n2" in told) == (409, True)
    assert await record_of(api, "n2") == before
    await join(api.stranger, await new_token(api.admin, name="n2"), new.request(api.clock.now()))
    after = await record_of(api, "n2")
    assert after.number == before.number
    assert after.user != before.user
    assert api.gate.accounts.holders == {"n2": after.user}


async def test_a_refused_name_does_not_use_the_token_up(api: ApiWorld) -> None:
    await join(api.stranger, await new_token(api.admin), Machine("n2").request(api.clock.now()))
    token = await new_token(api.admin)
    assert (await refusal(api.stranger, token, Machine("n2").request(api.clock.now())))[0] == 409
    await join(api.stranger, token, Machine("n3").request(api.clock.now()))


async def test_a_token_for_a_name_is_for_no_other(api: ApiWorld) -> None:
    token = await new_token(api.admin, name="n1")
    for name in ("n10", "n", "n1.x"):
        assert (await refusal(api.stranger, token, Machine(name).request(api.clock.now())))[0] == 409


async def test_of_two_machines_with_one_token_one_is_let_in(api: ApiWorld) -> None:
    token = await new_token(api.admin)
    signed = [sign_request(token.id, token.secret, Machine(f"m{n}").request(api.clock.now())) for n in range(5)]
    answers = await asyncio.gather(*(send(api.stranger, one) for one in signed))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
    assert len(api.gate.accounts.holders) == 1


async def test_of_two_machines_with_one_name_one_is_let_in(api: ApiWorld) -> None:
    tokens = [await new_token(api.admin) for _ in range(4)]
    signed = [sign_request(one.id, one.secret, Machine("n2").request(api.clock.now())) for one in tokens]
    answers = await asyncio.gather(*(send(api.stranger, one) for one in signed))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


async def test_more_machines_than_can_be_let_in_at_once_are_told_to_come_again(api: ApiWorld) -> None:
    tokens = [await new_token(api.admin) for _ in range(20)]
    signed = [sign_request(t.id, t.secret, Machine(f"m{n}").request(api.clock.now())) for n, t in enumerate(tokens)]
    api.gate.accounts.answering.clear()
    asking = [asyncio.ensure_future(send(api.stranger, one)) for one in signed]
    for answered in islice(asyncio.as_completed(asking), 4):
        assert (await answered).status_code == 503
    api.gate.accounts.answering.set()
    answers = await asyncio.gather(*asking)
    assert sorted(answer.status_code for answer in answers) == [200] * 16 + [503] * 4
    again = [await send(api.stranger, one) for one in signed]
    assert {answer.status_code for answer in again} == {200}


@pytest.mark.parametrize("name", ["N2", "a/b", "../n1", "n1/", "", "a" * 51, "n1\n", "-n", "n_1", "n1%2f"])
async def test_a_name_that_could_stand_for_other_keys_is_refused(api: ApiWorld, name: str) -> None:
    token = await new_token(api.admin)
    request = Machine("n2").request(api.clock.now(), node=name)
    status, told = await refusal(api.stranger, token, request)
    assert (status, "cannot be the name of a node" in told) == (400, True)


@pytest.mark.parametrize(("off", "word"), [(301, "ahead of"), (-301, "behind")])
async def test_a_machine_whose_clock_is_wrong_is_told(api: ApiWorld, off: float, word: str) -> None:
    token = await new_token(api.admin)
    machine = Machine("n2")
    status, told = await refusal(api.stranger, token, machine.request(api.clock.now() + off))
    assert status == 400
    assert f"301 s {word} the service's" in told
    await join(api.stranger, token, machine.request(api.clock.now() + (off - 1 if off > 0 else off + 1) * 0.99))


def rsa_request(machine: Machine) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    built = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))

    return built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    "bad",
    [
        lambda _: {"csr": "nonsense"},
        lambda _: {"csr": "x" * 5000},
        lambda machine: {"csr": rsa_request(machine)},
        lambda _: {"uuid": "nonsense"},
        lambda machine: {"uuid": machine.uuid.upper()},
        lambda _: {"seal_key": "zz" * 32},
        lambda _: {"seal_key": ""},
    ],
)
async def test_a_bad_request_is_refused_and_leaves_the_token_good(
    api: ApiWorld, bad: Callable[[Machine], dict[str, object]]
) -> None:
    token = await new_token(api.admin)
    machine = Machine("n2")
    assert (await refusal(api.stranger, token, machine.request(api.clock.now(), **bad(machine))))[0] == 400
    await join(api.stranger, token, machine.request(api.clock.now()))


def asking_for_everything(machine: Machine, user: str) -> str:
    """A request for a certificate of the control plane, an authority, for every host and for a hundred years."""

    built = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("node-n1"), x509.DNSName("*")]), critical=False)
    )
    return built.sign(machine.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("user", ["zun-control", "root", "node-n1", "etcd-e1"])
async def test_what_a_request_asks_beyond_its_key_is_ignored(api: ApiWorld, user: str) -> None:
    machine = Machine("n2")
    request = machine.request(api.clock.now(), csr=asking_for_everything(machine, user))
    answer = await join(api.stranger, await new_token(api.admin), request)
    certificate = pem.certificate_from_pem(answer.certificate.encode(), "it")
    facts = facts_of(certificate)
    assert facts.common_name == (await record_of(api, "n2")).user
    assert facts.hosts == ("node-n2",)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert facts.not_after - api.clock.now() == 365 * 86_400


def tampered(signed: Signed, **changed: object) -> Signed:
    return msgspec.structs.replace(signed, **changed)


async def test_nobody_between_the_two_can_change_a_request(api: ApiWorld) -> None:
    token = await new_token(api.admin)
    signed = sign_request(token.id, token.secret, Machine("n2").request(api.clock.now()))
    evil = msgspec.json.encode(Machine("n2").request(api.clock.now()))
    other = await new_token(api.admin)
    for changed in ({"body": evil}, {"mac": bytes(32)}, {"mac": b""}, {"id": other.id}, {"id": "x"}, {"id": ""}):
        answer = await send(api.stranger, tampered(signed, **changed))
        assert (answer.status_code, answer.json()["error"]["message"]) == WORTHLESS
    assert api.gate.accounts.holders == {}


async def test_nobody_between_the_two_can_change_an_answer(api: ApiWorld) -> None:
    token = await new_token(api.admin)
    machine = Machine("n2")
    signed = sign_request(token.id, token.secret, machine.request(api.clock.now()))
    answer = msgspec.json.decode((await send(api.stranger, signed)).content, type=Signed)
    read_answer(token.secret, signed, answer)
    other = sign_request(token.id, token.secret, machine.request(api.clock.now() + 1))

    evil = answer.body.replace(b"etcd-1.test", b"evil-1.test")
    for asked, got in ((signed, tampered(answer, body=evil)), (other, answer), (signed, signed)):
        with pytest.raises(Denied):
            read_answer(token.secret, asked, got)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b"nonsense", b'{"id":1,"body":"","mac":""}', b'{"id":"a","body":"!","mac":"!"}',
     b'{"id":"\\ud800","body":"","mac":""}', b"\xff\xfe", b"[" * 10_000],
)  # fmt: skip
async def test_whoever_has_no_token_learns_nothing(api: ApiWorld, body: bytes) -> None:
    answer = await api.stranger.post(JOIN, content=body)
    assert (answer.status_code, answer.json()["error"]["message"]) == WORTHLESS


async def test_strangers_cost_the_store_nothing(api: ApiWorld) -> None:
    await api.world.store.close()  # whatever asks it from now on fails
    forged = JoinToken(("http://x",), "0123456789abcdef.1999999999", bytes(32), "00")
    assert await refusal(api.stranger, forged, Machine("n2").request(api.clock.now())) == WORTHLESS


async def test_a_large_request_is_cut_off(api: ApiWorld) -> None:
    assert (await api.stranger.post(JOIN, content=bytes(MAX_BODY_BYTES + 1))).status_code == 413


async def test_another_form_of_request_is_named(api: ApiWorld) -> None:
    token = await new_token(api.admin)

    class Other(msgspec.Struct):
        something: str = "else"

    other: Any = Other()
    status, told = await refusal(api.stranger, token, other)
    assert (status, "use the same version on both machines" in told) == (400, True)


async def test_no_token_and_no_secret_is_ever_logged_or_stored(api: ApiWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await api.admin.post(TOKENS, json={})
    assert answer.headers["cache-control"] == "no-store"
    word = answer.json()["token"]

    token = read_token(word)
    await join(api.stranger, token, Machine("n2").request(api.clock.now()))
    await refusal(api.stranger, token, Machine("n3").request(api.clock.now()))

    secrets = [word, base64.b64encode(token.secret).decode(), token.secret.hex()]
    stored = b"".join(kv.value for kv in (await api.world.store.range("")).items)
    for secret in secrets:
        assert secret not in caplog.text
        assert secret not in repr(token)
        assert secret.encode() not in stored
    assert token.secret not in stored


async def test_the_answer_to_a_used_token_is_told_in_the_same_words_as_to_a_forged_one(api: ApiWorld) -> None:
    token = await new_token(api.admin)
    await join(api.stranger, token, Machine("n2").request(api.clock.now()))
    used = await refusal(api.stranger, token, Machine("n3").request(api.clock.now()))
    forged = msgspec.structs.replace(token, secret=bytes(32))
    assert used == await refusal(api.stranger, forged, Machine("n3").request(api.clock.now()))
