# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about static identity (section `[identity]`)."""

from typing import Annotated

import msgspec


class StaticIdentityOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens in a file."""

    tokens_file: Annotated[
        str,
        msgspec.Meta(
            description="File of users and hashed tokens, mode 0600. Empty: tokens.json in the state directory."
        ),
    ] = ""
