# SPDX-License-Identifier: Apache-2.0
"""Which commands of the shells a test tries, so that none is forgotten."""

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])


def covers(*commands: str) -> Callable[[Test], Test]:
    """The decorated test tries these commands."""

    def mark(test: Test) -> Test:
        test.__dict__["covers"] = frozenset(commands)
        return test

    return mark


def covered(module: str) -> frozenset[str]:
    """All commands that the tests of a module try."""
    tests = vars(importlib.import_module(module)).values()
    return frozenset().union(*(getattr(test, "covers", ()) for test in tests if callable(test)))
