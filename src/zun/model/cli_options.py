# SPDX-License-Identifier: Apache-2.0
"""The options of `zunctl run`, `create` and `update`, derived from the declaration of a container's fields."""

from collections.abc import Callable
from typing import Any

import msgspec

from zun.model.container import ContainerSpec
from zun.model.fields import declared


class CliOption(msgspec.Struct, frozen=True):
    """One option. `wire` is the member of the request it sets; `read` makes the member's value of what was typed.

    A `switch` takes no text and sets true. `patch`: it may be changed on an existing container.
    """

    wire: str
    flags: tuple[str, ...]
    metavar: str
    help: str
    read: Callable[[list[str]], Any] | None
    repeated: bool = False
    switch: bool = False
    patch: bool = False


def container_options() -> tuple[CliOption, ...]:
    """Every option that a container's fields declare, in the order of the fields."""
    return tuple(
        CliOption(
            wire=entry.wire,
            flags=entry.field.option.flags,
            metavar=entry.field.option.metavar,
            help=entry.field.option.help or entry.field.doc,
            read=entry.field.option.read,
            repeated=entry.field.option.repeated,
            switch=entry.field.option.switch,
            patch=entry.field.patch,
        )
        for entry in declared(ContainerSpec)
        if entry.field.option is not None
    )
