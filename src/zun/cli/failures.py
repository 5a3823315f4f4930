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
INTERRUPTED = 130


class Failure(Exception):
    """Ends the command with `exit_code` after one line on standard error."""

    def __init__(self, message: str, exit_code: int = REFUSED, *, status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.status = status
