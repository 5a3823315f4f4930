# SPDX-License-Identifier: Apache-2.0
"""Requests made up from the service's own OpenAPI document: whatever is sent, the fault is never ours."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from support.api import NEWEST
from support.serving import served

STREAMS = ["/v1/watch", "/v1/containers/{ident}/logs/stream"]


class _Service(threading.Thread):
    """The service in a thread of its own, with a running container `fuzzed`, until `stop`."""

    def __init__(self) -> None:
        super().__init__(name="service")
        self.ready = threading.Event()
        self.address = ""

    def run(self) -> None:
        asyncio.run(self._serve())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self.join(30)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with served() as service:
            await service.api.running(service.member, name="fuzzed", interactive=True)
            self.address = f"http://{service.address}"
            self.ready.set()
            await self._stopping.wait()


@pytest.fixture(scope="module")
def service() -> Iterator[_Service]:
    thread = _Service()
    thread.start()
    assert thread.ready.wait(30)
    yield thread
    thread.stop()


@pytest.fixture(scope="module")
def document(service: _Service) -> schemathesis.BaseSchema:
    schema = schemathesis.openapi.from_url(f"{service.address}/v1/openapi.json")
    return schema.exclude(path=STREAMS)


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def _ask(operation: Any, mode: GenerationMode, data: st.DataObject) -> None:
    case = data.draw(operation.as_strategy(generation_mode=mode))
    response = case.call(headers={"X-Auth-Token": "admin", "OpenStack-API-Version": NEWEST})
    assert response.status_code < 500 or response.status_code == 503, response.text
    case.validate_response(response, checks=[content_type_conformance, response_schema_conformance])


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_is_answered_with_a_fault_of_ours(document: schemathesis.BaseSchema, mode: GenerationMode) -> None:
    asked = 0
    for found in document.get_all_operations():
        with contextlib.suppress(Unsatisfiable):  # nothing of this URL can be wrong
            _ask(found.ok(), mode)
            asked += 1
    assert asked > 50
