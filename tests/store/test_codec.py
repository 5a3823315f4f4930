# SPDX-License-Identifier: Apache-2.0
"""Records survive processes of other versions."""

import json

import pytest

from zun.model.container import ContainerSpec
from zun.model.errors import Internal
from zun.model.records import ContainerRecord, Place, Usage
from zun.store.codec import decode, encode

RECORD = ContainerRecord("u", "p", "me", ContainerSpec(image="busybox", memory=64), 1.0, 2.0)


def test_a_record_comes_back_as_it_was_and_says_nothing_of_defaults() -> None:
    raw = encode(RECORD)
    assert decode(ContainerRecord, raw) == RECORD
    assert b"privileged" not in raw


def test_numbers_as_keys_survive() -> None:
    place = Place("u", "n", 1, 1.0, resize_refused={3: "too big"})
    assert decode(Place, encode(place)) == place


def test_a_reader_ignores_what_it_does_not_know() -> None:
    assert decode(Usage, b'{"containers":3,"gpus":7,"v":9}') == Usage(containers=3, v=9)


def test_a_writer_keeps_what_a_newer_one_added_at_any_depth() -> None:
    newer = json.loads(encode(RECORD)) | {"owner_note": [1], "seq": 4}
    newer["spec"]["gpus"] = 2
    written = json.loads(encode(RECORD, over=json.dumps(newer).encode()))
    assert written["owner_note"] == [1]
    assert written["spec"] == {"image": "busybox", "memory": 64, "gpus": 2}
    assert "seq" not in written


def test_a_known_member_that_is_back_at_its_default_goes_away() -> None:
    assert encode(Usage(), over=encode(Usage(containers=4))) == b"{}"


def test_a_damaged_record_is_our_fault_and_says_which_kind_it_is() -> None:
    with pytest.raises(Internal, match="Usage"):
        decode(Usage, b"{oops")
    with pytest.raises(Internal, match="Usage"):
        encode(Usage(), over=b"[]")
