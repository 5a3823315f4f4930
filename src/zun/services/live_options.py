# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about live things (section `[live]`)."""

from typing import Annotated

import msgspec

_MIB = 1024 * 1024


class LiveOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Logs, exec, attach, archives."""

    max_output_bytes: Annotated[
        int,
        msgspec.Meta(
            description="Most output of one synchronous exec; a command that prints more needs a console.", ge=1024
        ),
    ] = 4 * _MIB
    max_log_bytes: Annotated[
        int, msgspec.Meta(description="Most that `logs` answers at once; the log stream has no such limit.", ge=1024)
    ] = 16 * _MIB
    max_archive_bytes: Annotated[
        int,
        msgspec.Meta(
            description="Largest tar of get_archive and put_archive; the raw endpoint has no such limit.", ge=1024
        ),
    ] = 64 * _MIB
    console_seconds: Annotated[
        int, msgspec.Meta(description="Seconds within which a granted console must be opened.", ge=5, le=3600)
    ] = 60
    node_timeout_seconds: Annotated[
        float,
        msgspec.Meta(description="Seconds a node has to answer a call, or to go on with an archive.", ge=1, le=600),
    ] = 60.0
