# SPDX-License-Identifier: Apache-2.0
"""A careful client of a service that may be away for a while: it knows which of its requests were answered."""

import time
from typing import Any

import httpx

from support.service import Service

_PAUSE = 0.05


class Asking:
    """Somebody who asks. A service that is not there is waited for `again_seconds`; 0: it has to be there."""

    def __init__(
        self, service: Service, token: str | None = None, version: str = "1.40", *, again_seconds: float = 60
    ) -> None:
        self.http = service.client(token, version)
        self._again_seconds = again_seconds

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        """One request; None when the answer was lost: it may have happened or not."""
        deadline = time.monotonic() + self._again_seconds
        while True:
            try:
                answer = self.http.request(method, path, **options)
            except httpx.ConnectError:
                assert time.monotonic() < deadline, "the service did not come back"
                time.sleep(_PAUSE)
                continue
            except httpx.TransportError:
                assert self._again_seconds, f"the answer to {method} {path} was lost"
                return None
            assert answer.status_code < 500 or answer.status_code == 503, f"{method} {path}: {answer.text}"
            if answer.status_code != 503:
                return answer
            assert time.monotonic() < deadline, f"still unavailable: {answer.text}"
            time.sleep(_PAUSE)

    def get(self, path: str) -> httpx.Response:
        """Read, as often as it takes to be answered."""
        while (answer := self.ask("GET", path)) is None:
            pass
        return answer
