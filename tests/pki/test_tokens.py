# SPDX-License-Identifier: Apache-2.0
"""Tokens survive being copied, and tell nothing of themselves when they are wrong."""

import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zun.base.sealing import MasterKey
from zun.model.errors import Invalid
from zun.pki.tokens import MAX_CHARACTERS, PREFIX, JoinToken, expiry_of, new_token_id, read_token, secret_of

TOKEN = JoinToken(
    ("http://10.0.0.1:9517", "https://zun.test"), "0123456789abcdef.1700000000", b"\xff" * 32, "ab" * 32, "n1"
)


def test_a_token_is_one_word_and_reads_back() -> None:
    word = TOKEN.text()
    assert word.startswith(PREFIX)
    assert word.removeprefix(PREFIX).replace("-", "").replace("_", "").isalnum()
    assert read_token(f"  {word}\n") == TOKEN


@settings(deadline=None)
@given(st.text(max_size=200))
def test_what_is_no_token_is_refused_without_being_repeated(text: str) -> None:
    for word in (text, PREFIX + text, TOKEN.text()[: len(text) + 1]):
        if word == TOKEN.text():
            continue
        with pytest.raises(Invalid) as refused:
            read_token(word)
        assert len(word) < 8 or word not in "".join(traceback.format_exception(refused.value))


def test_a_word_that_is_far_too_long_is_not_looked_at() -> None:
    with pytest.raises(Invalid):
        read_token(PREFIX + "A" * MAX_CHARACTERS)


def test_each_number_and_each_installation_has_its_own_secret() -> None:
    one, other = MasterKey(bytes(32)), MasterKey(b"\x01" * 32)
    ids = [new_token_id(1_700_000_000.9) for _ in range(3)]
    secrets = {secret_of(key, token_id) for key in (one, other) for token_id in ids}
    assert len(secrets) == 6
    assert {len(secret) for secret in secrets} == {32}
    assert secret_of(one, ids[0]) == secret_of(one, ids[0])
    assert one.derive(b"another purpose", ids[0].encode()) not in secrets


def test_a_number_says_when_it_ends() -> None:
    assert expiry_of(new_token_id(1_700_000_000.9)) == 1_700_000_000
    for wrong in (
        "",
        "x",
        "0123456789abcdef",
        "0123456789abcdef.",
        "0123456789ABCDEF.1",
        "0123456789abcdef.-1",
        "../x.1",
    ):
        assert expiry_of(wrong) is None
