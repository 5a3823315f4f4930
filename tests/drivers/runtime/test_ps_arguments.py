# SPDX-License-Identifier: Apache-2.0
"""`top` shows a container's processes and nobody else's, whatever is asked of `ps`."""

import pytest

from zun.drivers.runtime.host.ps_arguments import checked
from zun.model.errors import Invalid


@pytest.mark.parametrize(
    "arguments",
    [
        "-ef",
        "aux",
        "auxww",
        "-e f",
        "-o pid,comm",
        "-opid,args",
        "-eo pid,ppid,pcpu,args",
        "ax o user,pid,args",
        " -ef ",
    ],
)
def test_usual_arguments_are_passed_on(arguments: str) -> None:
    assert checked(arguments) == arguments


@pytest.mark.parametrize(
    "arguments",
    [
        "-eovsz=PID,args",
        "-eo vsz=PID,args",
        "-o\tvsz=PID",
        "-eo lstart,ni,ni,ni,pid,args",
        "-eo args,pid",
        "-o lstart -o pid",
        "-o pid -o lstart",
        "O lstart",
        "-O lstart",
        "--format vsz=PID",
        "--format=lstart,pid",
        "-o\u00a0vsz=PID",
        "-ef; id",
        "-ef\n-o vsz=PID",
        "-o pid,vsz=PID",
        "-efM",
        "Z",
        "-" + "e" * 300,
    ],
)
def test_arguments_that_could_show_the_hosts_processes_are_refused(arguments: str) -> None:
    with pytest.raises(Invalid, match="ps_args"):
        checked(arguments)
