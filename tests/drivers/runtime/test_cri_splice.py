# SPDX-License-Identifier: Apache-2.0
"""Log and live stream of one output become one, whatever the order in which they come."""

from hypothesis import given
from hypothesis import strategies as st

from zun.drivers.runtime.cri.splice import Splice


def test_the_log_is_told_until_both_stand_still_and_then_the_stream() -> None:
    splice = Splice()
    assert splice.from_stream(b"lcome\nname? ") == b""
    assert splice.from_log(b"welcome\n") == b"welcome\n"
    assert splice.quiet() == b"name? "
    assert splice.joined
    assert splice.from_stream(b"zun\n") == b"zun\n"
    assert splice.from_log(b"name? zun\n") == b""


def test_a_stream_that_came_too_late_for_the_prompt_waits_for_what_comes_next() -> None:
    splice = Splice()
    splice.from_log(b"welcome\n")
    assert splice.quiet() == b""
    assert not splice.joined
    assert splice.from_stream(b"more") == b""
    assert splice.quiet() == b"more"


def test_what_does_not_agree_stays_with_the_log() -> None:
    splice = Splice()
    splice.from_stream(b"with a return\r\nprompt")  # the log lost the return
    splice.from_log(b"with a return\n")
    assert splice.quiet() == b""
    assert not splice.joined


def test_a_log_that_lags_is_waited_for() -> None:
    splice = Splice()
    splice.from_stream(b"line\nprompt")
    assert splice.quiet() == b""
    assert splice.from_log(b"line\n") == b"line\n"
    assert splice.quiet() == b"prompt"


words = st.lists(st.sampled_from([b"a", b"b", b"\n", b"ab\n", b"a\n"]), max_size=40).map(b"".join)


@given(words, st.data())
def test_nothing_is_lost_and_nothing_told_twice(output: bytes, data: st.DataObject) -> None:
    """The stream begins at some byte; the log has whole lines, and shows them all before a silence."""
    began = data.draw(st.integers(0, len(output)))
    splice, said = Splice(), b""
    written, streamed = 0, began
    while written < len(output):
        written = data.draw(st.integers(written + 1, len(output)))
        said += splice.from_stream(output[streamed:written]) if written > streamed else b""
        streamed = max(streamed, written)
        if data.draw(st.booleans()):  # a silence: the log has caught up with the lines
            said += _log(splice, output, written, data)
            said += splice.quiet()
    said += _log(splice, output, written, data)
    said += splice.quiet()
    whole_lines = output[: output.rfind(b"\n") + 1]
    if splice.joined:
        unfinished = output[max(len(whole_lines), began) :] if began > len(whole_lines) else output[len(whole_lines) :]
        assert said == whole_lines + unfinished or said == output or _lacks_only_a_prompt(said, output, began)
    else:
        assert said == whole_lines


def _lacks_only_a_prompt(said: bytes, output: bytes, began: int) -> bool:
    """What was written of a line before the stream began, without its end, is nowhere to be seen until the line ends."""
    start = output.rfind(b"\n", 0, began) + 1
    return said == output[:start] + output[began:]


def _log(splice: Splice, output: bytes, written: int, data: st.DataObject) -> bytes:
    """Feed the log its complete lines, in pieces."""
    told: int = getattr(splice, "told", 0)
    end = output.rfind(b"\n", 0, written) + 1
    said = b""
    while told < end:
        step = data.draw(st.integers(told + 1, end))
        said += splice.from_log(output[told:step])
        told = step
    splice.told = told  # type: ignore[attr-defined]
    return said
