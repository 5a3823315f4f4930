# SPDX-License-Identifier: Apache-2.0
"""Identity by Keystone: tokens are checked there, in threads, and what it said is believed for a minute.

Everybody who comes with the same new token at the same time shares one question. How many questions are asked and how many wait is
bounded, and so is how long a request waits: whoever cannot be served is told so (503) and may come again.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import msgspec

from zun.base.clock import Clock
from zun.drivers.identity.base import Asked
from zun.drivers.identity.keystone import access_rules
from zun.drivers.identity.keystone.body import TokenBody
from zun.drivers.identity.keystone.cache import AnswerCache, Digest, digest_of
from zun.drivers.identity.keystone.options import KeystoneOptions
from zun.drivers.identity.keystone.server import KeystoneAway, KeystoneServer, unknown_token
from zun.model.caller import Caller
from zun.model.errors import Denied

_LOG = logging.getLogger(__name__)

REFUSAL_SECONDS = 5.0
"""How long a refused token is not asked about again."""
_REFUSALS = 4096
_TELL_AGAIN_SECONDS = 30.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")

IsAdmin = Callable[[frozenset[str]], bool]


class Keystone(Protocol):
    """Who is asked; blocks. `KeystoneServer` in earnest."""

    def fetch(self, token: str, *, allow_expired: bool = False) -> TokenBody:
        """A token. Raises `Denied` (401), `KeystoneAway`."""

    def close(self) -> None:
        """Let go of connections."""


class _Question(NamedTuple):
    """What is asked about a token."""

    digest: Digest
    allow_expired: bool


class _Known(msgspec.Struct, frozen=True):
    """What was settled about a token. `caller` None: it is good, but not here, and `refusal` says why.

    `rules`: the token itself, when access rules say what it opens.
    """

    caller: Caller | None
    refusal: str
    roles: frozenset[str]
    rules: TokenBody | None


class KeystoneIdentity:
    """Who a token of the cloud belongs to. Raises `Invalid` for options that cannot work; Keystone need not be there yet.

    A token that was revoked, or whose user or project was disabled, works on for `token_cache_time` at most; one that expires stops at
    that instant. `keystone` and `clock` are handed in by tests.
    """

    def __init__(
        self, options: KeystoneOptions, *, clock: Clock, is_admin: IsAdmin, keystone: Keystone | None = None
    ) -> None:
        self._options = options
        self._clock = clock
        self._is_admin = is_admin
        self._keystone = keystone or KeystoneServer(options)
        self._threads = ThreadPoolExecutor(options.validation_threads, thread_name_prefix="keystone")
        self._good: AnswerCache[_Known] = AnswerCache(
            clock, size=options.token_cache_size, seconds=options.token_cache_time
        )
        self._bad: AnswerCache[Denied] = AnswerCache(clock, size=_REFUSALS, seconds=REFUSAL_SECONDS)
        self._asking: dict[_Question, asyncio.Task[_Known]] = {}
        self._trouble = ""
        self._tell_again_at = 0.0

    @property
    def challenge(self) -> str:
        """What a 401 asks for, in the form of keystonemiddleware."""
        uri = self._options.www_authenticate_uri or self._options.auth_url
        return f'Keystone uri="{uri}"'

    def cached(self, token: str) -> Caller | None:
        """The caller, or None. A token with access rules is never known for every request."""
        if not _TOKEN.fullmatch(token):
            return None
        known = self._good.get(digest_of(token))
        return None if known is None or known.rules is not None else known.caller

    async def authenticate(self, token: str, asked: Asked) -> Caller:
        """The caller. Raises `Denied` (401, 403), `Unavailable`."""
        try:
            known = await self._known(token)
        except Denied:
            if not await self._comes_from_a_service(asked):
                raise
            known = await self._known(token, allow_expired=True)
        if known.rules is not None and not await self._comes_from_a_service(asked):
            await self._check_access_rules(known.rules, asked)
        if known.caller is None:
            raise Denied(known.refusal)
        return known.caller

    async def close(self) -> None:
        """Ask nothing more; who waits is let go."""
        for task in list(self._asking.values()):
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._keystone.close()

    async def _known(self, token: str, *, allow_expired: bool = False) -> _Known:
        """What is settled about a token, asking if need be. Raises `Denied` (401), `KeystoneAway`."""
        if not _TOKEN.fullmatch(token):
            raise unknown_token()
        digest = digest_of(token)
        if not allow_expired:
            refused = self._bad.get(digest)
            if refused is not None:
                raise Denied(refused.message, code=refused.code, status=refused.http_status)
            known = self._good.get(digest)
            if known is not None:
                return known
        question = _Question(digest, allow_expired)
        task = self._asking.get(question)
        if task is None:
            if len(self._asking) >= self._options.validation_queue:
                crowded = KeystoneAway(f"{len(self._asking)} tokens wait for Keystone at {self._options.auth_url}.")
                self._tell(crowded)
                raise crowded
            task = asyncio.create_task(self._ask(token, question))
            self._asking[question] = task
            task.add_done_callback(lambda done: self._answered(question, done))
        return await asyncio.shield(task)

    async def _ask(self, token: str, question: _Question) -> _Known:
        try:
            found = await self._in_thread(lambda: self._keystone.fetch(token, allow_expired=question.allow_expired))
        except Denied as refused:
            self._bad.put(question.digest, refused)
            raise
        except KeystoneAway as away:
            self._tell(away)
            raise
        self._tell_well()
        expires_at = found.expires_at.timestamp()
        if not question.allow_expired:
            if expires_at <= self._clock.now():
                raise unknown_token()
            known = self._settled(found)
            self._good.put(question.digest, known, expires_at)
            return known
        return self._settled(found)

    def _answered(self, question: _Question, task: asyncio.Task[_Known]) -> None:
        del self._asking[question]
        if not task.cancelled():
            task.exception()  # nobody may be left to look at it

    async def _in_thread(self, work: Callable[[], TokenBody]) -> TokenBody:
        """Bounded by time also where Keystone takes the connection and says nothing. Raises `KeystoneAway`."""
        seconds = self._options.validation_timeout
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError as error:
            raise KeystoneAway(f"Keystone at {self._options.auth_url} did not answer within {seconds:g} s.") from error

    def _settled(self, token: TokenBody) -> _Known:
        roles, rules = token.role_names, token if token.restricted else None
        if token.project is None:
            return _Known(None, _why_not_here(token), roles, rules)
        caller = Caller(
            user_id=token.user.id,
            project_id=token.project.id,
            roles=roles,
            is_admin=self._is_admin(roles),
            user_name=token.user.name,
            project_name=token.project.name,
            expires_at=token.expires_at.timestamp(),
        )
        return _Known(caller, "", roles, rules)

    async def _comes_from_a_service(self, asked: Asked) -> bool:
        """Whether a service vouches for the request: then an expired token counts, and access rules were heeded where it came from."""
        if not asked.service_token:
            return False
        try:
            service = await self._known(asked.service_token)
        except Denied:
            return False
        if service.rules is not None:  # what may open a few URLs only does not vouch for others
            return False
        return not service.roles.isdisjoint(role.lower() for role in self._options.service_token_roles)

    async def _check_access_rules(self, token: TokenBody, asked: Asked) -> None:
        loop, service_type = asyncio.get_running_loop(), self._options.service_type
        if not await loop.run_in_executor(None, access_rules.opens, token, asked, service_type):
            raise Denied(
                f"The access rules of your application credential do not allow {asked.method} {asked.path}; "
                f"a rule for it has the service {service_type!r}."
            )

    def _tell(self, away: KeystoneAway) -> None:
        """The log has the reason, at once when it is a new one and then now and again."""
        now = self._clock.monotonic()
        if away.reason != self._trouble or now >= self._tell_again_at:
            self._trouble, self._tell_again_at = away.reason, now + _TELL_AGAIN_SECONDS
            _LOG.error("Tokens cannot be checked: %s", away.reason)

    def _tell_well(self) -> None:
        if self._trouble:
            self._trouble = ""
            _LOG.info("Tokens can be checked again.")


def _why_not_here(token: TokenBody) -> str:
    """Why a good token without a project is of no use here."""
    scope = "nothing"
    if token.system is not None:
        scope = "the system"
    elif token.domain is not None:
        scope = f"the domain {token.domain.name or token.domain.id}"
    return f"Your token is for {scope}, and containers belong to projects: log in with a project (OS_PROJECT_NAME)."
