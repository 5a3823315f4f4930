# SPDX-License-Identifier: Apache-2.0
"""`GET /metrics`, and the counting of requests as they are answered."""

from collections.abc import Callable

from starlette.responses import Response

from zun.api.requests import Call
from zun.telemetry.meter import Meter
from zun.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS, REFUSED_TRANSITIONS

_CONFLICT = 409
_CONTAINER_ROUTES = "container_"


class RequestFigures:
    """Counts requests; `observe` is what the access layer calls."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request. `route` is a route's name, so there are few of them."""
        self._meter.count(HTTP_REQUESTS, route, method, str(status))
        self._meter.observe(HTTP_SECONDS, seconds, route, method)
        if status == _CONFLICT and route.startswith(_CONTAINER_ROUTES):
            self._meter.count(REFUSED_TRANSITIONS, route)


class MetricsHandlers:
    """The endpoint. `tell` gives all figures as text of the type `content_type`."""

    def __init__(self, tell: Callable[[], bytes], content_type: str) -> None:
        self._tell = tell
        self._type = content_type

    async def metrics(self, _: Call) -> Response:
        """All figures as text."""
        return Response(self._tell(), media_type=self._type)
