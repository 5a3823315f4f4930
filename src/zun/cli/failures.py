# SPDX-License-Identifier: Apache-2.0
"""How zunctl ends: exit codes that scripts can use, and errors that are one helpful line.

    0  done
    1  the service refused, or it failed
    2  wrong usage
    3  the service cannot be reached, or does not know the token
    4  there is no such thing
  125  `run`: the container could not be made
  126  `run`, `exec`: the command cannot be executed
  127  `run`, `exec`: there is no such command
  130  interrupted
`run`, `exec`, `attach` and `wait` otherwise end with the code of the process.
"""

REFUSED = 1
USAGE = 2
UNREACHABLE = 3
NOT_FOUND = 4
RUN_REFUSED = 125
CANNOT_EXECUTE = 126
NO_COMMAND = 127
INTERRUPTED = 130


class Failure(Exception):
    """Ends the command with `exit_code` after one line on standard error."""

    def __init__(self, message: str, exit_code: int = REFUSED, *, status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.status = status


class Lost(Failure):
    """The connection broke or nobody answered in time; trying again may help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, UNREACHABLE)


class Interrupted(Failure):
    """A signal asked us to leave."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted", 128 + number)


_NO_COMMAND = ("executable file not found", "no such file or directory", "not found in $path", "no executable")
_CANNOT_EXECUTE = ("permission denied", "is a directory", "exec format error")


def command_failure(reason: str, exit_code: int | None = None) -> Failure:
    """A command that could not run: 127 when there is none, 126 when it cannot be executed, else 125."""
    text = reason.lower()
    if exit_code in (CANNOT_EXECUTE, NO_COMMAND):
        return Failure(reason, exit_code)
    if any(words in text for words in _NO_COMMAND):
        return Failure(reason, NO_COMMAND)
    if any(words in text for words in _CANNOT_EXECUTE):
        return Failure(reason, CANNOT_EXECUTE)
    return Failure(reason, RUN_REFUSED)
