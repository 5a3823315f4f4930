# SPDX-License-Identifier: Apache-2.0
"""zunctl at a pseudo-terminal with real containers."""

import json
import re
import signal
from collections.abc import Callable, Iterator

import pytest

from support.zunctl import Service, Terminal, wait_for

pytestmark = pytest.mark.docker

Sit = Callable[..., Terminal]


@pytest.fixture
def sit(docker_service: Service) -> Iterator[Sit]:
    """Run zunctl at a terminal of its own."""
    open_ones: list[Terminal] = []

    def run(*arguments: str, columns: int = 100, rows: int = 30) -> Terminal:
        open_ones.append(Terminal(docker_service, *arguments, columns=columns, rows=rows))
        return open_ones[-1]

    yield run
    for terminal in open_ones:
        terminal.close()


def shows_size(terminal: Terminal, size: str) -> bool:
    """Whether the shell in it knows this size (rows, columns) by now."""
    terminal.type("stty size; echo do''ne\n")
    return size in terminal.until("done")


def test_a_shell_has_our_terminal_with_its_size_its_keys_and_its_exit_code(docker_service: Service, sit: Sit) -> None:
    terminal = sit("run", "--rm", "-it", "--name", "shell", docker_service.image, "sh")
    terminal.until("# ")  # a prompt without a newline, printed before anybody typed
    wait_for(lambda: shows_size(terminal, "30 100"))  # told once the start is confirmed, which may be after the prompt
    terminal.resize(133, 41)
    wait_for(lambda: shows_size(terminal, "41 133"))
    terminal.type("echo slee''ping; sleep 1000\n")
    terminal.until("sleeping")
    terminal.type("\x03")
    terminal.type("exit 9\n")
    assert terminal.ended() == 9
    assert terminal.settings() == terminal.before
    assert docker_service.run("show", "shell").code == 4


def test_the_detach_keys_leave_it_running_and_attach_comes_back(docker_service: Service, sit: Sit) -> None:
    terminal = sit("run", "-it", "--name", "left", docker_service.image, "sh")
    terminal.until("# ")
    terminal.type("\x10\x11")
    assert terminal.ended() == 0
    assert terminal.settings() == terminal.before
    again = sit("attach", "left")
    wait_for(lambda: again.settings() != again.before)
    again.type("echo b''ack\n")
    again.until("back")
    again.type("exit 4\n")
    assert again.ended() == 4
    docker_service.run("rm", "left")


def test_a_terminal_is_put_back_when_zunctl_is_told_to_leave(docker_service: Service, sit: Sit) -> None:
    terminal = sit("run", "--rm", "-it", docker_service.image, "sh")
    terminal.until("# ")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.ended() == 128 + signal.SIGTERM
    assert terminal.settings() == terminal.before


def test_what_ends_at_once_is_shown_whole(docker_service: Service, sit: Sit) -> None:
    terminal = sit("run", "--rm", "-it", docker_service.image, "echo", "quick")
    assert terminal.ended() == 0
    assert b"quick\r\n" in terminal.seen


def test_exec_has_a_terminal_too(docker_service: Service, sit: Sit) -> None:
    docker_service.run("run", "-d", "--name", "entered", docker_service.image, "sleep", "1000")
    terminal = sit("exec", "-it", "entered", "sh")
    terminal.until("# ")
    terminal.type("tty; exit 3\n")
    assert terminal.ended() == 3
    assert b"/dev/pts/" in terminal.seen
    docker_service.run("rm", "-f", "entered")


def test_a_command_that_does_not_start_ends_the_conversation(docker_service: Service, sit: Sit) -> None:
    terminal = sit("run", "--rm", "-it", docker_service.image, "nonsense")
    assert terminal.ended() == 127
    assert b"nonsense" in terminal.seen


def test_the_table_fits_the_terminal(docker_service: Service, sit: Sit) -> None:
    docker_service.run(
        "run", "-d", "--name", "a-rather-long-name-for-a-container", docker_service.image, "sleep", "1000"
    )
    terminal = sit("ps", columns=60)
    assert terminal.ended() == 0
    shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.seen.decode())
    assert "NAME" in shown
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 60
    docker_service.run("rm", "-f", "a-rather-long-name-for-a-container")


def test_ctrl_c_ends_a_live_table_quietly(docker_service: Service, sit: Sit) -> None:
    terminal = sit("stats")
    terminal.until("MEMORY")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.ended() == 130
    assert b"Traceback" not in terminal.seen


# Real containers without a terminal


def test_big_output_and_input_arrive_whole(docker_service: Service) -> None:
    text = "".join(f"{number}\n" for number in range(200_000))
    assert docker_service.run("run", "--rm", docker_service.image, "seq", "0", "199999").out == text
    assert docker_service.run("run", "--rm", "-i", docker_service.image, "cat", stdin=text).out == text


def test_the_second_ctrl_c_kills_what_ignores_the_first(docker_service: Service) -> None:
    script = "trap 'echo caught' INT; echo ready; while true; do sleep 0.1; done"
    with docker_service.started(
        "run", "--rm", "--name", "stubborn", docker_service.image, "sh", "-c", script
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"caught\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 137
    assert process.returncode == 137
    assert docker_service.run("show", "stubborn").code == 4


def test_logs_are_followed_until_the_end(docker_service: Service) -> None:
    docker_service.run("run", "-d", "--name", "talker", docker_service.image, "sh", "-c", "echo a; sleep 1; echo b >&2")
    done = docker_service.run("logs", "-f", "talker")
    assert (done.code, done.out, done.err) == (0, "a\n", "b\n")
    assert docker_service.run("logs", "--tail", "1", "--stdout", "talker").out in ("a\n", "")
    docker_service.run("rm", "talker")


def test_a_limit_is_the_engines_limit(docker_service: Service) -> None:
    docker_service.run("run", "-d", "--name", "small", "-m", "32m", docker_service.image, "sleep", "1000")
    figures = json.loads(docker_service.run("stats", "small", "-o", "json").out)
    assert figures[0]["MEM LIMIT(MiB)"] == 32
    docker_service.run("rm", "-f", "small")
