# SPDX-License-Identifier: Apache-2.0
"""Log lines name the request that they concern, whoever writes them, and one line is one event."""

import asyncio
import json
import logging
import sys
from logging import LogRecord

from zun.base.logs import JsonFormatter, TextFormatter
from zun.base.request_scope import current, in_request, of_nobody

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def said(message: str, *arguments: object) -> LogRecord:
    return LogRecord("somebody.elses", logging.WARNING, "", 0, message, arguments, None)


def test_a_text_line_names_its_request() -> None:
    with in_request("req-1"):
        assert TextFormatter().format(said("%s broke", "it")).endswith(" WARNING somebody.elses [req-1]: it broke")
    assert TextFormatter().format(said("alone")).endswith(" WARNING somebody.elses: alone")


def test_what_a_user_typed_cannot_look_like_another_line() -> None:
    line = TextFormatter().format(said("name %s", "x\n2026-01-01 00:00:00,000 ERROR zun: all is lost"))
    assert len(line.splitlines()) == 1


def test_a_json_line_is_one_object_with_all_that_is_known() -> None:
    try:
        raise ValueError("no\nluck")
    except ValueError:
        record = said("broke")
        record.exc_info = sys.exc_info()
    with in_request("req-1", TRACEPARENT):
        line = JsonFormatter().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert found["request_id"] == "req-1"
    assert found["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert (found["level"], found["logger"], found["message"]) == ("WARNING", "somebody.elses", "broke")
    assert "ValueError" in found["exception"]
    assert found["time"].endswith("+00:00")
    assert "request_id" not in json.loads(JsonFormatter().format(said("alone")))


async def test_a_task_works_for_the_request_that_made_it_unless_it_works_for_nobody() -> None:
    async def whose() -> str:
        return current().request_id

    with in_request("req-1"):
        own = asyncio.create_task(whose())
        common = asyncio.create_task(whose(), context=of_nobody())
    assert await own == "req-1"
    assert await common == ""
    assert current().request_id == ""
