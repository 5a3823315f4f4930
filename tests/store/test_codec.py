# SPDX-License-Identifier: Apache-2.0
"""Records survive processes of other versions."""

import json
from typing import Any

import msgspec
import pytest

from zun.model.container import ContainerSpec
from zun.model.errors import Internal
from zun.model.parts import Mount
from zun.model.records import Claim, ContainerRecord, Inbox, Intent, Place, Usage, Verb
from zun.store import keys
from zun.store.codec import decode, encode
from zun.store.inboxes import tell_node

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
    old = newer(RECORD, owner_note=[1], seq=4)
    old["spec"]["gpus"] = 2
    written = json.loads(encode(RECORD, over=raw(old)))
    assert written["owner_note"] == [1]
    assert written["spec"] == {"image": "busybox", "memory": 64, "gpus": 2}
    assert "seq" not in written


def test_a_known_member_that_is_back_at_its_default_goes_away() -> None:
    assert encode(Usage(), over=encode(Usage(containers=4))) == b"{}"


def intent(n: int, verb: Verb = Verb.STOP) -> Intent:
    return Intent(n, verb, f"req-{n}", 1.0)


def newer(record: msgspec.Struct, **more: object) -> dict[str, Any]:
    """What a newer process wrote of it."""
    return {**json.loads(encode(record)), **more}


def raw(members: object) -> bytes:
    return json.dumps(members).encode()


def test_what_is_unknown_of_a_list_item_stays_with_it_while_others_come_and_go() -> None:
    record = msgspec.structs.replace(RECORD, seq=3, intents=[intent(1), intent(2, Verb.KILL), intent(3)])
    old = newer(record)
    for number, member in enumerate(old["intents"]):
        member["urgency"] = number
    record.intents = [record.intents[1], record.intents[2], intent(4)]
    written = json.loads(encode(record, over=raw(old)))
    assert [(member["n"], member.get("urgency")) for member in written["intents"]] == [(2, 1), (3, 2), (4, None)]
    assert decode(ContainerRecord, raw(written)) == record


def test_items_that_look_alike_to_this_process_keep_what_each_had() -> None:
    record = msgspec.structs.replace(RECORD, spec=ContainerSpec("busybox", mounts=[Mount("/a"), Mount("/a")]))
    old = newer(record)
    old["spec"]["mounts"] = [{"destination": "/a", "mode": 1}, {"destination": "/a", "mode": 2}]
    written = json.loads(encode(record, over=raw(old)))
    assert [mount["mode"] for mount in written["spec"]["mounts"]] == [1, 2]


def test_an_item_that_changed_is_another_one() -> None:
    record = msgspec.structs.replace(RECORD, intents=[intent(1)])
    old = newer(record)
    old["intents"][0]["urgency"] = 1
    record.intents = [msgspec.structs.replace(intent(1), force=True)]
    assert b"urgency" not in encode(record, over=raw(old))


def test_a_struct_that_is_back_at_its_default_keeps_what_a_newer_process_said_in_it() -> None:
    place = Place("u", "n", 1, 1.0, claim=Claim(millicpus=5))
    old = newer(place)
    old["claim"]["gpus"] = 2
    place.claim = Claim()
    assert json.loads(encode(place, over=raw(old)))["claim"] == {"gpus": 2}


def test_an_inbox_holds_what_a_newer_process_said_in_the_wish_or_the_place() -> None:
    record = msgspec.structs.replace(RECORD, seq=2, intents=[intent(1), intent(2)], names=["x"], files=3)
    place = Place("u", "n", 4, 5.0, claim=Claim(millicpus=1), why="there is room")
    wish_raw, place_raw = newer(record, priority=7), newer(place, lanes=["fast"])
    wish_raw["spec"]["gpus"] = 2
    wish_raw["intents"][1]["urgency"] = 1
    place_raw["claim"]["gpus"] = [0, 1]
    put = tell_node(record, raw(wish_raw), place, raw(place_raw))
    assert put.key == keys.inbox("n", "u")
    told = json.loads(put.value)
    assert (told.pop("priority"), told.pop("lanes")) == (7, ["fast"])
    assert told["spec"].pop("gpus") == 2
    assert told["claim"].pop("gpus") == [0, 1]
    assert [one.pop("urgency", None) for one in told["intents"]] == [None, 1]
    assert raw(told) == raw(json.loads(tell_node(record, encode(record), place, encode(place)).value))
    assert told.keys() <= set(Inbox.__struct_encode_fields__)


def test_a_damaged_record_is_our_fault_and_says_which_kind_it_is() -> None:
    with pytest.raises(Internal, match="Usage"):
        decode(Usage, b"{oops")
    with pytest.raises(Internal, match="Usage"):
        encode(Usage(), over=b"[]")
