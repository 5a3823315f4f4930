# SPDX-License-Identifier: Apache-2.0
"""The few programs that every image of the fake has: enough to play what tests and people try first."""

import re
from collections.abc import Callable

from zun.drivers.runtime.fake import shell
from zun.drivers.runtime.fake.process import ReadInput, Sleep, Steps, Surroundings
from zun.drivers.runtime.types import Channel
from zun.model.errors import NotFound

Program = Callable[[Surroundings], Steps]

NOT_FOUND_CODE = 127
CANNOT_RUN_CODE = 126
_OCTAL = re.compile(rb"\\([0-7]{1,3})")


def find(name: str) -> Program | None:
    """The program of that name, with or without its directory."""
    return _PROGRAMS.get(name.removeprefix("/bin/").removeprefix("/usr/bin/"))


def _sleep(around: Surroundings) -> Steps:
    total = 0.0
    for argument in around.argv[1:]:
        if argument in {"infinity", "inf"}:
            yield Sleep(None)
        try:
            total += float(argument.removesuffix("s"))
        except ValueError:
            around.write(Channel.STDERR, f"sleep: invalid number '{argument}'\n".encode())
            return 1
    yield Sleep(total)
    return 0


def _echo(around: Surroundings) -> int:
    words = around.argv[1:]
    ending = b"\n"
    if words and words[0] == "-n":
        words, ending = words[1:], b""
    around.write(Channel.STDOUT, " ".join(words).encode() + ending)
    return 0


def _printf(around: Surroundings) -> int:
    text = (around.argv[1] if len(around.argv) > 1 else "").encode()
    text = text.replace(rb"\n", b"\n").replace(rb"\t", b"\t").replace(rb"\r", b"\r")
    around.write(Channel.STDOUT, _OCTAL.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), text))
    return 0


def _cat(around: Surroundings) -> Steps:
    code = 0
    for path in around.argv[1:]:
        try:
            around.write(Channel.STDOUT, around.files.read(_absolute(around, path)))
        except NotFound:
            around.write(Channel.STDERR, f"cat: can't open '{path}': No such file or directory\n".encode())
            code = 1
    if len(around.argv) == 1:
        while data := (yield ReadInput()):
            around.write(Channel.STDOUT, data)
    return code


def _wc(around: Surroundings) -> Steps:
    count = 0
    while data := (yield ReadInput()):
        count += len(data)
    around.write(Channel.STDOUT, f"{count}\n".encode())
    return 0


def _nc(around: Surroundings) -> Steps:
    """`nc -ll -p PORT -e PROGRAM…`: a server that runs the program for each connection."""
    match around.argv[1:]:
        case ["-ll", "-p", port, "-e", *program] if port.isdecimal() and program:
            around.listening[int(port)] = program
            yield Sleep(None)
    around.write(Channel.STDERR, b"nc: only 'nc -ll -p PORT -e PROGRAM' is known here\n")
    return 1


def _true(_: Surroundings) -> int:
    return 0


def _false(_: Surroundings) -> int:
    return 1


def _env(around: Surroundings) -> int:
    for name, value in around.environment.items():
        around.write(Channel.STDOUT, f"{name}={value}\n".encode())
    return 0


def _pwd(around: Surroundings) -> int:
    around.write(Channel.STDOUT, around.workdir.encode() + b"\n")
    return 0


def _hostname(around: Surroundings) -> int:
    around.write(Channel.STDOUT, around.hostname.encode() + b"\n")
    return 0


def _stty(around: Surroundings) -> int:
    width, height = around.size
    around.write(Channel.STDOUT, f"{height} {width}\n".encode())
    return 0


def _sh(around: Surroundings) -> Steps:
    if len(around.argv) >= 3 and around.argv[1] == "-c":
        return shell.run(around, around.argv[2], find)
    return shell.interactive(around, find)


def _absolute(around: Surroundings, path: str) -> str:
    return path if path.startswith("/") else f"{around.workdir.rstrip('/')}/{path}"


def _at_once(act: Callable[[Surroundings], int]) -> Program:
    """A program that waits for nothing."""

    def program(around: Surroundings) -> Steps:
        yield Sleep(0)
        return act(around)

    return program


_AT_ONCE = {
    "echo": _echo,
    "printf": _printf,
    "true": _true,
    ":": _true,
    "false": _false,
    "env": _env,
    "pwd": _pwd,
    "hostname": _hostname,
    "stty": _stty,
}
_PROGRAMS: dict[str, Program] = {
    "sleep": _sleep,
    "cat": _cat,
    "wc": _wc,
    "nc": _nc,
    "sh": _sh,
    **{name: _at_once(act) for name, act in _AT_ONCE.items()},
}
