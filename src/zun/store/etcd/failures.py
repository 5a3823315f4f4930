# SPDX-License-Identifier: Apache-2.0
"""What a failed call means: to the caller, and for the question whether it may be made again.

The texts are those of etcd's `api/v3rpc/rpctypes/error.go`, which all versions from 3.4 on share.
"""

from dataclasses import dataclass
from enum import Enum

import grpc
import grpc.aio

from zun.model.errors import Denied, Internal, Invalid, NotFound, Timeout, Unavailable, Unsupported, ZunError


class Next(Enum):
    """What may be done after a failure."""

    GIVE_UP = "no other answer is to be had"
    AGAIN = "nothing was done, and the same member may be asked again at once"
    ELSEWHERE = "nothing was done; another member may do it"
    IN_DOUBT = "it may have been done; a read may be asked elsewhere, a write may not be repeated"


class CompactedAway(Exception):
    """etcd says that the revision was compacted, but not which one is the oldest still there."""


@dataclass(frozen=True)
class Failure:
    """A failed call: what to do next, and what to raise when there is no next."""

    next: Next
    kind: type[ZunError]
    message: str
    compacted: bool = False

    def error(self) -> ZunError | CompactedAway:
        """The error to raise."""
        return CompactedAway() if self.compacted else self.kind(self.message)


_MAKE_SPACE = (
    "An operator must compact, defragment every member, raise --quota-backend-bytes if that freed too little, "
    'and disarm the alarm (operator guide, "etcd").'
)
NO_LEADER = "etcd has no leader: most of its members are down or cannot reach each other; check them, then try again."
NO_ANSWER = "etcd does not answer; check that its members run and can be reached, then try again."
IN_DOUBT = "etcd did not confirm the write in time; it may or may not have happened: read again before you repeat it."
NO_USER = "etcd asks for a user and this client shows none; set [store] cert_file and key_file."
NOT_ALLOWED = "etcd does not allow this to the user of this client; check the user that is named like its certificate, and its roles."


OUT_OF_SPACE = Failure(
    Next.GIVE_UP, Unavailable, f"etcd is out of space and takes no writes; reads go on. {_MAKE_SPACE}"
)
PERHAPS_OUT_OF_SPACE = Failure(
    Next.GIVE_UP,
    Timeout,
    "etcd is out of space, and this write, one of the last, may or may not have happened: read again before you repeat it. "
    f"{_MAKE_SPACE}",
)


def failure_of(error: grpc.aio.AioRpcError, *, writing: bool) -> Failure:
    """What a failed unary call means."""
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.OUT_OF_RANGE and "compacted" in details:
        return Failure(Next.GIVE_UP, Internal, details, compacted=True)
    for text, failure in _BY_TEXT.items():
        if text in details:
            return failure
    if code in _UNANSWERED:
        if details.startswith("failed to connect"):
            return nobody_there()
        return in_doubt(writing=writing, timed_out=code is grpc.StatusCode.DEADLINE_EXCEEDED)
    kind, advice = _FINAL.get(code, (Internal, "look at its log and report this."))
    return Failure(Next.GIVE_UP, kind, f"etcd: {details or code.name}; {advice}")


def stream_is_denied(error: grpc.aio.AioRpcError) -> bool:
    """Whether a stream ended for good. Whatever else ended it, gRPC's own confusion included: a new one tells."""
    return error.code() in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)


def in_doubt(*, writing: bool, timed_out: bool = False) -> Failure:
    """A call whose answer never came."""
    if writing:
        return Failure(Next.IN_DOUBT, Timeout, IN_DOUBT)
    return Failure(Next.IN_DOUBT, Timeout if timed_out else Unavailable, NO_ANSWER)


def nobody_there() -> Failure:
    """A call that could not be sent."""
    return Failure(Next.ELSEWHERE, Unavailable, NO_ANSWER)


_BY_TEXT = {
    # The member refuses what it cannot even begin (its interceptor, see REQUIRE_LEADER); the same words end a stream.
    "etcdserver: no leader": Failure(Next.ELSEWHERE, Unavailable, NO_LEADER),
    "database space exceeded": OUT_OF_SPACE,  # a write may be done nevertheless, see `space`
    # More is waiting than etcd queues; refused before it was proposed.
    "too many requests": Failure(Next.ELSEWHERE, Unavailable, "etcd is overloaded; try again."),
    "not supported for learner": Failure(Next.ELSEWHERE, Unavailable, NO_ANSWER),
    # A user or role changed between the check and the execution of a request, which was then not executed.
    "revision of auth store is old": Failure(Next.AGAIN, Unavailable, "etcd's users just changed; try again."),
    "user name is empty": Failure(Next.GIVE_UP, Denied, NO_USER),
    "permission denied": Failure(Next.GIVE_UP, Denied, NOT_ALLOWED),
}

_UNANSWERED = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,  # "context deadline exceeded": the member's clock of the call ran out before ours
        grpc.StatusCode.INTERNAL,  # "Internal error from Core": the connection ended while the call began on it
        grpc.StatusCode.ABORTED,
    }
)

_FINAL: dict[grpc.StatusCode, tuple[type[ZunError], str]] = {
    grpc.StatusCode.OUT_OF_RANGE: (Invalid, "change the request."),
    grpc.StatusCode.INVALID_ARGUMENT: (Invalid, "change the request."),
    grpc.StatusCode.NOT_FOUND: (NotFound, "it may have ended; begin anew."),
    grpc.StatusCode.PERMISSION_DENIED: (Denied, "check the user of this client in etcd, and its roles."),
    grpc.StatusCode.UNAUTHENTICATED: (Denied, "check the user of this client in etcd, and its roles."),
    grpc.StatusCode.UNIMPLEMENTED: (Unsupported, "use etcd 3.4 or newer."),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (Unavailable, "try again later."),
}
