# SPDX-License-Identifier: Apache-2.0
"""What is asked of a container's node and answered at once: logs, exec, attach, sizes, top, stats, archives."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from zun.api import responses
from zun.api.requests import Call
from zun.drivers.runtime.types import ExecRequest, LogQuery
from zun.model.container_rules import ENVIRONMENT, PATH, SHELL_WORDS, WORDS
from zun.model.errors import Invalid
from zun.model.fields import Field
from zun.model.rules import NARROW_BOOLEAN, WIDE_BOOLEAN, Rule, integer, one_of, or_none_word, text
from zun.services.containers import ContainerService
from zun.services.live import LiveService
from zun.store.view import ContainerEntry

_MIB = 1024 * 1024
_BASE64_SINCE = (1, 25)


def _tail(value: Any) -> int | None:
    written = str(value)
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else None


def _since(value: Any) -> float | None:
    written = str(value)
    if written in ("None", ""):
        return None
    try:
        seconds = float(written)
    except ValueError:
        return datetime.strptime(written, "%Y-%m-%d %H:%M:%S,%f").replace(tzinfo=UTC).timestamp()
    if not 0 <= seconds < 10**11:
        raise ValueError
    return seconds


def _command(value: Any) -> list[str]:
    words = WORDS.read(value) if isinstance(value, list) else SHELL_WORDS.read(value)
    if not words:
        raise ValueError("it is empty")
    return words


TAIL = Rule(_tail, "'all' or a number of lines", {"type": ["string", "integer"]})
SINCE = Rule(_since, "seconds since the epoch or 'YYYY-MM-DD HH:MM:SS,fff' (UTC)", {"type": ["string", "number"]})
COMMAND = Rule(
    _command,
    "a command as a string (split as a shell does) or as a list",
    {"oneOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
)
EXEC_ID = text(64, 64, pattern="[0-9a-f]{64}", hint="64 hexadecimal digits")
SIZE = integer(1, 65535)


class LogsForm(msgspec.Struct, frozen=True):
    """Of logs."""

    stdout: Annotated[bool, Field(rule=WIDE_BOOLEAN, doc="Standard output.")] = True
    stderr: Annotated[bool, Field(rule=WIDE_BOOLEAN, doc="Standard error.")] = True
    timestamps: Annotated[bool, Field(rule=WIDE_BOOLEAN, doc="Begin each line with its time.")] = False
    tail: Annotated[int | None, Field(rule=TAIL, doc="How many lines at the end.")] = None
    since: Annotated[float | None, Field(rule=SINCE, doc="Only lines since then.")] = None


class ExecuteForm(msgspec.Struct, frozen=True):
    """Of execute."""

    command: Annotated[list[str], Field(rule=COMMAND, required=True, nullable=False, doc="What to run.")]
    run: Annotated[bool, Field(rule=NARROW_BOOLEAN, doc="Run it now and answer with its output.")] = True
    interactive: Annotated[bool, Field(rule=NARROW_BOOLEAN, doc="Give it a standard input.")] = False
    tty: Annotated[bool | None, Field(rule=NARROW_BOOLEAN, doc="Give it a terminal; as `interactive` when absent.")] = (
        None
    )
    environment: Annotated[dict[str, str], Field(rule=ENVIRONMENT, doc="Further environment variables.")] = {}
    workdir: Annotated[str | None, Field(rule=PATH, doc="Where it runs.")] = None
    encoding: Annotated[str, Field(rule=one_of("text", "base64"), doc="Of the output in the answer.")] = "text"


class SizeForm(msgspec.Struct, frozen=True):
    """Of resize."""

    h: Annotated[int, Field(rule=SIZE, required=True, nullable=False, doc="Lines.")]
    w: Annotated[int, Field(rule=SIZE, required=True, nullable=False, doc="Columns.")]


class ExecSizeForm(msgspec.Struct, frozen=True):
    """Of execute_resize."""

    exec_id: Annotated[str, Field(rule=EXEC_ID, required=True, nullable=False, doc="Which command.")]
    h: Annotated[int, Field(rule=SIZE, required=True, nullable=False, doc="Lines.")]
    w: Annotated[int, Field(rule=SIZE, required=True, nullable=False, doc="Columns.")]


class AttachForm(msgspec.Struct, frozen=True):
    """Of attach."""

    before_start: Annotated[bool, Field(rule=WIDE_BOOLEAN, doc="Also when it was made but not started yet.")] = False


class TopForm(msgspec.Struct, frozen=True):
    """Of top."""

    ps_args: Annotated[str | None, Field(rule=or_none_word(text(0, 255)), doc="Arguments of ps.")] = None


class PathForm(msgspec.Struct, frozen=True):
    """Of get_archive."""

    path: Annotated[str, Field(rule=text(1, 4096), required=True, nullable=False, doc="A path in the container.")]


class PutForm(msgspec.Struct, frozen=True):
    """Of put_archive."""

    path: Annotated[str, Field(rule=text(1, 4096), required=True, nullable=False, doc="A directory in the container.")]
    data: Annotated[str, Field(rule=text(), required=True, nullable=False, doc="A tar, in base64 since 1.25.")]


class ContainerLiveHandlers:
    """`/v1/containers/{ident}/<action>`, where the node answers."""

    def __init__(self, containers: ContainerService, live: LiveService) -> None:
        self._containers = containers
        self._live = live

    async def logs(self, call: Call) -> Response:
        """Its output so far, as one JSON string."""
        form = await call.arguments(LogsForm)
        query = LogQuery(form.stdout, form.stderr, form.timestamps, form.tail, form.since)
        return responses.json(await self._live.logs_text(call.context, await self._find(call), query))

    async def execute(self, call: Call) -> Response:
        """Run a command in it, or prepare one for a console."""
        form = await call.arguments(ExecuteForm)
        entry = await self._find(call)
        request = ExecRequest(
            form.command,
            tty=form.interactive if form.tty is None else form.tty,
            environment=form.environment,
            workdir=form.workdir or None,
        )
        work = self._live.execute(call.context, entry, request, run=form.run, interactive=form.interactive)
        result = await call.while_connected(work)
        output = None
        if result.output is not None:
            as_text = form.encoding == "text"
            output = result.output.decode("utf-8", "replace") if as_text else base64.b64encode(result.output).decode()
        url = console_url(call, result.token, entry, result.exec_id) if result.token else None
        return responses.json(
            {"output": output, "exit_code": result.exit_code, "exec_id": result.exec_id, "proxy_url": url}
        )

    async def execute_resize(self, call: Call) -> Response:
        """Change the size of a command's terminal."""
        form = await call.arguments(ExecSizeForm)
        await self._live.execute_resize(call.context, await self._find(call), form.exec_id, form.w, form.h)
        return responses.null()

    async def attach(self, call: Call) -> Response:
        """The URL of a console to its first process."""
        form = await call.arguments(AttachForm)
        entry = await self._find(call)
        token = await self._live.attach_token(call.context, entry, before_start=form.before_start)
        return responses.json(console_url(call, token, entry))

    async def resize(self, call: Call) -> Response:
        """Change the size of its terminal."""
        form = await call.arguments(SizeForm)
        await self._live.resize(call.context, await self._find(call), form.w, form.h)
        return responses.null()

    async def top(self, call: Call) -> Response:
        """Its processes."""
        form = await call.arguments(TopForm)
        table = await self._live.top(call.context, await self._find(call), form.ps_args or None)
        return responses.json({"Titles": table.titles, "Processes": table.processes})

    async def stats(self, call: Call) -> Response:
        """What it uses now."""
        entry = await self._find(call)
        stats = await self._live.stats(call.context, entry)
        limit = stats.memory_limit_bytes
        return responses.json(
            {
                "CONTAINER": entry.name,
                "CPU %": round(stats.cpu_percent, 2),
                "MEM USAGE(MiB)": round(stats.memory_bytes / _MIB, 2),
                "MEM LIMIT(MiB)": round(limit / _MIB, 2),
                "MEM %": round(100 * stats.memory_bytes / limit, 2) if limit else 0.0,
                "BLOCK I/O(B)": f"{stats.block_read_bytes}/{stats.block_write_bytes}",
                "NET I/O(B)": f"{stats.network_rx_bytes}/{stats.network_tx_bytes}",
            }
        )

    async def get_archive(self, call: Call) -> Response:
        """A tar of what lies at a path."""
        form = await call.arguments(PathForm)
        stat, tar = await self._live.get_archive_bytes(call.context, await self._find(call), form.path)
        binary = call.version >= _BASE64_SINCE
        return responses.json(
            {
                "data": base64.b64encode(tar).decode() if binary else tar.decode("utf-8", "replace"),
                "stat": {
                    "name": stat.name,
                    "size": stat.size,
                    "mode": stat.mode,
                    "mtime": stat.mtime,
                    "linkTarget": stat.link_target,
                },
            }
        )

    async def put_archive(self, call: Call) -> Response:
        """Unpack a tar in a directory."""
        form = await call.arguments(PutForm)
        if call.version >= _BASE64_SINCE:
            try:
                tar = base64.b64decode("".join(form.data.split()), validate=True)
            except (binascii.Error, ValueError) as error:
                raise Invalid("'data' must be a tar in base64.") from error
        else:
            tar = form.data.encode()
        await self._live.put_archive_bytes(call.context, await self._find(call), form.path, tar)
        return responses.null()

    async def _find(self, call: Call) -> ContainerEntry:
        return await self._containers.find(call.context, call.params["ident"])


def console_url(call: Call, token: str, entry: ContainerEntry, exec_id: str | None = None) -> str:
    """Where the console of a grant is opened."""
    query = {"token": token, "uuid": entry.uuid} | ({"exec_id": exec_id} if exec_id else {})
    return f"ws{call.base_url.removeprefix('http')}/v1/console?{urlencode(query)}"
