# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about who users are (section `[identity]`)."""

from typing import Annotated, Literal

import msgspec


class IdentityOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Who says whom a token belongs to."""

    driver: Annotated[
        Literal["static", "keystone"],
        msgspec.Meta(description="static: a file of tokens. keystone: the cloud's, as [keystone_authtoken] says."),
    ] = "static"
    tokens_file: Annotated[
        str,
        msgspec.Meta(
            description="static: file of users and hashed tokens, mode 0600. Empty: tokens.json in the state directory."
        ),
    ] = ""
