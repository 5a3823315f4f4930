# SPDX-License-Identifier: Apache-2.0
"""Images on this node: there when a container needs them, as its pull policy says, and pulled once for all who wait."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import NoReturn

from zun.agent.home import Home
from zun.agent.options import AgentOptions
from zun.drivers.runtime.base import Runtime
from zun.drivers.runtime.types import Credentials, ImageInfo, PullProgress
from zun.model.errors import Invalid, NotFound, Timeout, ZunError
from zun.model.records import ImageSource

Login = Callable[[], Awaitable[Credentials | None]]
Listener = Callable[[PullProgress], None]

POLICIES = ("always", "ifnotpresent", "never")


def pull_policy(text: str | None) -> str:
    """The policy in one of its spellings (`IfNotPresent`, `if-not-present`, …); none means `ifnotpresent`.

    Raises `Invalid`.
    """
    plain = "".join(letter for letter in (text or "ifnotpresent").lower() if letter.isalpha())
    if plain not in POLICIES:
        raise Invalid(f"There is no image pull policy {text!r}; use one of {', '.join(POLICIES)}.")
    return plain


class _Pull:
    """One pull in work and those who wait for it."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.task: asyncio.Task[ImageInfo | ZunError] | None = None

    def tell(self, progress: PullProgress) -> None:
        """Pass progress on."""
        for listener in self.listeners:
            listener(progress)


class Images:
    """The engine's images. Pulls live while `run` runs; a pull nobody waits for any more is given up."""

    def __init__(self, runtime: Runtime, options: AgentOptions) -> None:
        self._images = runtime.images
        self._seconds = options.pull_timeout_seconds
        self._call_seconds = options.engine_timeout_seconds
        self._slots = asyncio.Semaphore(options.parallel_pulls)
        self._pulls: dict[str, _Pull] = {}
        self._home = Home()

    async def run(self) -> NoReturn:
        """Give the pulls a home; runs until cancelled."""
        await self._home.run()

    async def find(self, reference: str) -> ImageInfo | None:
        """The image if the engine has it."""
        try:
            async with asyncio.timeout(self._call_seconds):
                return await self._images.find(reference)
        except NotFound:
            return None
        except TimeoutError as error:
            raise self._stuck(f"look for the image {reference}", self._call_seconds) from error

    async def remove(self, reference: str) -> None:
        """Remove it; absent is no error. Raises `Conflict` when a container uses it."""
        try:
            async with asyncio.timeout(self._call_seconds):
                await self._images.remove(reference)
        except TimeoutError as error:
            raise self._stuck(f"remove the image {reference}", self._call_seconds) from error

    async def ensure(self, source: ImageSource, login: Login, listener: Listener) -> ImageInfo:
        """The image, pulled when the policy wants it. `login` is asked only for a pull; `listener` hears how it goes on."""
        policy = pull_policy(source.pull_policy)
        if policy != "always":
            found = await self.find(source.reference)
            if found is not None:
                return found
            if policy == "never":
                raise NotFound(
                    f"The image {source.reference} is not on this node and the pull policy is 'never'. "
                    "Pull it there first, or create the container with the policy 'ifnotpresent'.",
                    code="image-not-found",
                )
        return await self._pull(source.reference, await login() if source.credentials else None, listener)

    async def _pull(self, reference: str, credentials: Credentials | None, listener: Listener) -> ImageInfo:
        """Join the pull in work or begin one; who has another login does not share it."""
        key = reference + _login_key(credentials)
        pull = self._pulls.get(key)
        if pull is None or pull.task is None or pull.task.done():
            pull = self._pulls[key] = _Pull()
            pull.task = self._home.begin(self._fetch(key, pull, reference, credentials), f"pull {reference}")
        task = pull.task
        assert task is not None  # noqa: S101 - set where the pull was made
        pull.listeners.append(listener)
        try:
            outcome = await asyncio.shield(task)
        finally:
            pull.listeners.remove(listener)
            if not pull.listeners and not task.done():
                task.cancel()
        if isinstance(outcome, ZunError):
            raise outcome
        return outcome

    async def _fetch(
        self, key: str, pull: _Pull, reference: str, credentials: Credentials | None
    ) -> ImageInfo | ZunError:
        try:
            async with self._slots, asyncio.timeout(self._seconds):
                return await self._images.pull(reference, credentials, pull.tell)
        except TimeoutError:
            return self._stuck(f"pull the image {reference}", self._seconds)
        except ZunError as error:
            return error
        finally:
            if self._pulls.get(key) is pull:
                del self._pulls[key]

    @staticmethod
    def _stuck(what: str, seconds: float) -> Timeout:
        return Timeout(f"The engine did not {what} within {seconds:g} seconds; try again, or see what holds it up.")


def _login_key(credentials: Credentials | None) -> str:
    """Tells logins apart without keeping them."""
    if credentials is None:
        return ""
    secret = "\0".join((credentials.server, credentials.username, credentials.password))
    return " " + hashlib.sha256(secret.encode()).hexdigest()
