# SPDX-License-Identifier: Apache-2.0
"""Capsules (groups of containers that share an address) need a runtime that this installation does not have: each call says so."""

from typing import NoReturn

from starlette.responses import Response

from zun.api.requests import Call
from zun.model.errors import Unsupported


class CapsuleHandlers:
    """`/v1/capsules`, refused."""

    async def list(self, _: Call) -> Response:
        """Refused."""
        _refuse()

    async def create(self, _: Call) -> Response:
        """Refused."""
        _refuse()

    async def show(self, _: Call) -> Response:
        """Refused."""
        _refuse()

    async def delete(self, _: Call) -> Response:
        """Refused."""
        _refuse()


def _refuse() -> NoReturn:
    raise Unsupported(
        "Capsules are not available in this installation: no capsule driver is configured. Use containers (/v1/containers)."
    )
