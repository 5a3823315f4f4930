# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about policy (section `[policy]`)."""

from typing import Annotated

import msgspec


class PolicyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Who may do what."""

    policy_file: Annotated[
        str,
        msgspec.Meta(
            description="A YAML file of rules that replace the built-in ones, by name; read again when it changes. "
            "Empty: the built-in rules."
        ),
    ] = ""
