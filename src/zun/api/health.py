# SPDX-License-Identifier: Apache-2.0
"""`GET /healthcheck`: whether a load balancer should send requests here."""

from collections.abc import Callable, Sequence
from pathlib import Path

from starlette.responses import PlainTextResponse, Response

from zun.api.requests import Call
from zun.base.clock import Clock
from zun.store.view import View

Check = Callable[[], str | None]
"""Why the service should get no requests at this moment; None when it may."""


class HealthHandlers:
    """The health check: healthy unless a check says why not."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = tuple(checks)

    async def healthcheck(self, _: Call) -> Response:
        """200 `OK`, or 503 with a reason a line."""
        reasons = [reason for check in self._checks if (reason := check())]
        if reasons:
            return PlainTextResponse("\n".join(reasons) + "\n", 503)
        return PlainTextResponse("OK")


def not_disabled(path: Path) -> Check:
    """Fails while the file exists: an operator takes this server out of the balancing before stopping it."""
    return lambda: f"Disabled by an operator: {path.name} exists." if path.exists() else None


def view_follows(view: View, clock: Clock, tolerated_seconds: float = 10.0) -> Check:
    """Fails when the view has not been able to follow the store for longer than is tolerated."""

    def check() -> str | None:
        since = view.stale_since
        if since is None or clock.now() - since < tolerated_seconds:
            return None
        return f"The store has not answered for {clock.now() - since:.0f} seconds; reads show what was last known."

    return check
