# SPDX-License-Identifier: Apache-2.0
"""How log lines look: for people (text) or for machines (one JSON object a line), each with the request that it concerns."""

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec

from zun.base import request_scope


class TextFormatter(logging.Formatter):
    """`time LEVEL logger [request]: message`, then the traceback. A line break in a message cannot begin a line that looks like another one."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        request_id = request_scope.current().request_id
        where = f"{record.name} [{request_id}]" if request_id else record.name
        line = f"{self.formatTime(record)} {record.levelname} {where}: {_one_line(record.getMessage())}"
        trouble = _traceback(self, record)
        return f"{line}\n{trouble}" if trouble else line


class JsonFormatter(logging.Formatter):
    """An object with `time` (UTC), `level`, `logger`, `message`; and where they apply `request_id`, `trace_id`, `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        scope = request_scope.current()
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if scope.request_id:
            line["request_id"] = scope.request_id
        if scope.traceparent:
            line["trace_id"] = scope.traceparent.split("-")[1]
        trouble = _traceback(self, record)
        if trouble:
            line["exception"] = trouble
        return msgspec.json.encode(line).decode("utf-8", "replace")


FORMATS: dict[str, type[logging.Formatter]] = {"text": TextFormatter, "json": JsonFormatter}


def set_up(level: str, form: str) -> None:
    """Log to standard error from `level` on, in one of `FORMATS`."""
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATS[form]())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


def _one_line(message: str) -> str:
    return message.replace("\r", "\\r").replace("\n", "\\n") if "\n" in message or "\r" in message else message


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info else []
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)
