# SPDX-License-Identifier: Apache-2.0
"""The ten errors: what a caller can do about it decides the class, not where it happened.

    ZunError
    ├── Invalid         the request is wrong; change it                       400 (413 for `too-large`)
    ├── Denied          you may not; ask somebody who may                     403 (401 without a valid token)
    ├── NotFound        there is no such thing (or not for you)               404
    ├── Conflict        it exists, is busy, or is in the wrong state          409
    ├── Precondition    somebody changed it meanwhile; read again and retry   409
    ├── QuotaExceeded   free something or ask for more                        403
    ├── Unsupported     this installation cannot do it                        400 (406 for versions)
    ├── Unavailable     a part is away; try again later                       503
    ├── Timeout         it took too long; it may or may not have happened     504
    └── Internal        our fault                                             500

Third-party exceptions stop at the driver's edge and become one of these, with the cause chained.
Every message is a sentence a user can act on; it never holds a secret.
"""

from typing import ClassVar


class ZunError(Exception):
    """Base of all errors that may reach a user.

    `code` is the stable wire code without the `container.` prefix (`reference: wire contract §3.1`); never reuse one
    with another meaning. `retryable` says whether the same call may succeed later without any change.
    """

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = ""
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.default_code if code is None else code
        self.http_status = self.status if status is None else status


class Invalid(ZunError):
    """The request is wrong as it stands."""

    status = 400
    default_code = "invalid"


class Denied(ZunError):
    """The caller may not do this."""

    status = 403
    default_code = "policy-not-authorized"


class NotFound(ZunError):
    """There is no such thing, or not for this caller."""

    status = 404
    default_code = "resource-not-found"


class Conflict(ZunError):
    """It exists already, is busy, or is in the wrong state."""

    status = 409
    default_code = "conflict"


class Precondition(ZunError):
    """The thing changed between reading and writing; read again and retry."""

    status = 409
    default_code = "conflict"
    retryable = True


class QuotaExceeded(ZunError):
    """A limit of the project would be passed."""

    status = 403
    default_code = "over-quota"


class Unsupported(ZunError):
    """This installation, driver or API version cannot do it."""

    status = 400
    default_code = "invalid"


class Unavailable(ZunError):
    """A part of the service is away for the moment."""

    status = 503
    default_code = "service-unavailable"
    retryable = True


class Timeout(ZunError):
    """It took too long; it may or may not have happened."""

    status = 504
    default_code = "timeout"
    retryable = True


class Internal(ZunError):
    """A fault of ours."""

    status = 500
    default_code = ""


WRONG_STATE = "invalid-state-exception"
"""The code of an action that the present state does not allow."""


def wrong_state(action: str, uuid: str, state: str) -> Conflict:
    """The refusal of an action in a state that does not allow it, in the words clients know."""
    return Conflict(f"Cannot {action} container {uuid} in {state} state.", code=WRONG_STATE)
