# SPDX-License-Identifier: Apache-2.0
"""What a tenant may tell the host's `ps`.

An engine (or we, for engines without such a verb) runs `ps` on the host, over all its processes, and keeps the lines whose column PID
names a process of the container. Whoever chooses the columns can make another one pass for it: a column renamed `PID`, or one of several
words before it (labels of `-M` and `Z` too). Then lines of the host's and the neighbours' processes come through, with their arguments and
environment. So only what keeps the columns in place is allowed.
"""

import re

from zun.model.errors import Invalid

_FLAGS = r"-?[A-LNP-Ya-np-z]+"
_BEFORE = r"(?:(?:user|uid|group|gid|ppid|pgid|sid),)*"
_FORMAT = rf"-?[A-LNP-Ya-np-z]*o\s*{_BEFORE}pid(?:,[a-z_%]+)*"
_ALLOWED = re.compile(rf"(?:{_FLAGS}\s+)*(?:{_FLAGS}|{_FORMAT})", re.ASCII)
_MAX_CHARACTERS = 256


def checked(arguments: str) -> str:
    """The arguments. Raises `Invalid` for those that could show more than the container's processes."""
    if len(arguments) <= _MAX_CHARACTERS and _ALLOWED.fullmatch(arguments.strip(" ")):
        return arguments
    raise Invalid(
        "ps_args may hold plain flags (like '-ef' or 'aux') and, last, a format that begins with pid (like '-o pid,args')."
    )
