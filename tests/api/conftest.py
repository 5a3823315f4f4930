# SPDX-License-Identifier: Apache-2.0
"""The service that the conversations are held with."""

from collections.abc import AsyncIterator

import pytest

from support.api import ApiWorld, api_world


@pytest.fixture
async def api() -> AsyncIterator[ApiWorld]:
    async with api_world() as world:
        yield world
