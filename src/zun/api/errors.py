# SPDX-License-Identifier: Apache-2.0
"""Errors on the wire: the one form that clients read, the other one of a missing token, and what becomes of our own faults."""

import logging
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from zun.api import responses
from zun.api.exchange import Exchange, exchange_of
from zun.api.routing import MethodNotAllowed
from zun.base.ids import new_uuid
from zun.model.errors import Internal, ZunError
from zun.model.microversions import MAXIMUM, MINIMUM, text

_LOG = logging.getLogger(__name__)

VERSION_UNSUPPORTED = "microversion-unsupported"


class ErrorLayer:
    """Turns what is raised below into answers. The only place that catches what nobody foresaw."""

    def __init__(self, app: ASGIApp, challenge: str) -> None:
        self._app = app
        self._challenge = challenge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = exchange_of(scope)
        try:
            await self._app(scope, receive, send)
            return
        except ClientDisconnect:
            return
        except ZunError as error:
            raised: Exception = error
            response = self._render(error, exchange)
        except Exception as error:  # noqa: BLE001 - the last resort: the client gets an answer, the log the cause
            raised = error
            response = internal_error(error, exchange)
        if exchange.response_started:
            _LOG.warning("The request broke off after its answer had begun: %s", raised)
            raise BrokenAnswer(exchange.request_id) from raised
        await response(scope, receive, send)

    def _render(self, error: ZunError, exchange: Exchange) -> Response:
        if error.http_status == 401:
            return unauthorized(error.message, self._challenge)
        if isinstance(error, Internal):
            return internal_error(error, exchange)
        # No Retry-After with a 503: python-zunclient takes it for an argument of its error class and falls over it.
        headers = {"Allow": error.allow} if isinstance(error, MethodNotAllowed) else {}
        body = error_body(error.http_status, error.code, error.message, exchange)
        if error.code == VERSION_UNSUPPORTED:
            _add_version_help(body["errors"][0], exchange)
        return responses.json(body, error.http_status, headers)


class BrokenAnswer(Exception):
    """An answer that had begun cannot be finished; the server closes the connection so that the client notices."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"the answer to {request_id} cannot be finished")


def error_body(status: int, code: str, message: str, exchange: Exchange, detail: str = "") -> dict[str, Any]:
    """The error form of the API."""
    return {
        "errors": [
            {
                "request_id": exchange.request_id,
                "code": f"container.{code}",
                "status": status,
                "title": message,
                "detail": detail or message,
                "links": [],
            }
        ]
    }


def unauthorized(message: str, challenge: str) -> Response:
    """401, in the form of the identity service's own middleware."""
    body = {"error": {"code": 401, "title": "Unauthorized", "message": message}}
    return responses.json(body, 401, {"WWW-Authenticate": challenge})


def internal_error(error: Exception, exchange: Exchange) -> Response:
    """A fault of ours: the client gets an id, the log gets the cause under that id."""
    correlation = new_uuid()
    _LOG.error("The request failed; correlation id %s", correlation, exc_info=error)
    detail = f"The service failed; tell its operator the correlation id {correlation}, which is in its log."
    return responses.json(error_body(500, "", "Internal Server Error", exchange, detail), 500)


def _add_version_help(entry: dict[str, Any], exchange: Exchange) -> None:
    entry["code"] = f"zun.{VERSION_UNSUPPORTED}"
    entry["min_version"] = text(MINIMUM)
    entry["max_version"] = text(MAXIMUM)
    entry["links"] = [{"rel": "help", "href": f"{exchange.base_url}/v1/openapi.json"}]
