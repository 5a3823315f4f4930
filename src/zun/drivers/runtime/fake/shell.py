# SPDX-License-Identifier: Apache-2.0
"""A shell for the fake, of the smallest kind: commands in a row, `exit`, `trap`, `read`, `> file`, `>&2`, a loop that waits.

It knows no pipes, variables or conditions. What it does not know it says, with exit code 2, rather than guess.
"""

import re
import shlex
from collections.abc import Callable, Generator
from dataclasses import replace

from zun.drivers.runtime.fake.process import SIGNAL_NUMBERS, ReadInput, Sleep, Steps, Surroundings
from zun.drivers.runtime.types import Channel
from zun.model.errors import Invalid

_WAITING_LOOP = re.compile(r"while\s+(?::|true)\s*;\s*do\s+sleep\s+[0-9.]+\s*;\s*done")
_FOREVER = "sleep infinity"
_UNKNOWN = re.compile(r"[|&$`(){}]|\b(?:if|for|while|case)\b")
_SYNTAX_ERROR = 2
_NOT_FOUND = 127

Find = Callable[[str], Callable[[Surroundings], Steps] | None]


class _Exit(Exception):
    """A script's `exit`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def run(around: Surroundings, script: str, find: Find) -> Steps:
    """Run a script to its end; the last command's exit code is the script's."""
    code = 0
    try:
        for command in _commands(script):
            code = yield from _command(around, command, find)
    except _Exit as ended:
        return ended.code
    except ValueError as error:
        around.write(Channel.STDERR, f"sh: syntax error: {error}\n".encode())
        return _SYNTAX_ERROR
    return code


def interactive(around: Surroundings, find: Find) -> Steps:
    """Run what comes through standard input, line by line."""
    code, waiting = 0, b""
    while data := (yield ReadInput()):
        waiting += data
        while b"\n" in waiting:
            line, _, waiting = waiting.partition(b"\n")
            words = line.decode(errors="replace").strip()
            if words.split(maxsplit=1)[:1] == ["exit"]:
                return int(words.split()[1]) if len(words.split()) > 1 else code
            code = yield from run(around, words, find)
    return code


def _commands(script: str) -> list[list[str]]:
    script = _WAITING_LOOP.sub(_FOREVER, script)
    commands: list[list[str]] = [[]]
    for line in script.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";")
        lexer.whitespace_split = True
        lexer.escape = ""
        for word in lexer:
            if set(word) <= {";"}:
                commands.append([])
            else:
                commands[-1].append(word)
        commands.append([])
    return [command for command in commands if command]


def _command(around: Surroundings, words: list[str], find: Find) -> Generator[Sleep | ReadInput, bytes, int]:
    name = words[0]
    if name == "exit":
        raise _Exit(int(words[1]) if len(words) > 1 else 0)
    if name == "trap":
        _set_trap(around, words[1], words[2:], find)
        return 0
    if name == "read":
        yield ReadInput()
        return 0
    if name == "exec":
        words = words[1:]
    words, target = _redirection(words)
    program = find(words[0])
    if program is None:
        what = "cannot do" if _UNKNOWN.search(" ".join(words)) else "not found:"
        around.write(Channel.STDERR, f"sh: {what} {' '.join(words)}\n".encode())
        return _SYNTAX_ERROR if what == "cannot do" else _NOT_FOUND
    written: list[bytes] = []
    write = around.write
    if target == "&2":
        inner = replace(around, argv=words, write=lambda _, data: write(Channel.STDERR, data))
    elif target:
        inner = replace(around, argv=words, write=lambda _, data: written.append(data))
    else:
        inner = replace(around, argv=words)
    code = yield from program(inner)
    if target and target != "&2":
        try:
            around.files.write(target, b"".join(written))
        except Invalid as error:
            write(Channel.STDERR, f"sh: {error}\n".encode())
            return 1
    return code


def _redirection(words: list[str]) -> tuple[list[str], str | None]:
    for index, word in enumerate(words):
        if word in {">&2", "1>&2"}:
            return words[:index] + words[index + 1 :], "&2"
        if word == ">" and index + 1 < len(words):
            return words[:index] + words[index + 2 :], words[index + 1]
        if word.startswith(">") and len(word) > 1:
            return words[:index] + words[index + 1 :], word[1:]
    return words, None


def _set_trap(around: Surroundings, action: str, signals: list[str], find: Find) -> None:
    def trapped() -> int | None:
        """Run the action at once; only an `exit` in it ends the process."""
        try:
            for command in _commands(action):
                for wait in _command(around, command, find):
                    if wait != Sleep(0):
                        break  # a trap does not wait
        except _Exit as ended:
            return ended.code
        return None

    for signal in signals:
        name = signal if signal.startswith("SIG") else f"SIG{signal}"
        if name in SIGNAL_NUMBERS:
            around.traps[name] = trapped
