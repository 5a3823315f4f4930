# SPDX-License-Identifier: Apache-2.0
"""Keystone as this service meets it: logs in as the service's own user and asks about the tokens of others.

All of it blocks, so it belongs into threads, which may share one object. keystoneauth1 logs in, logs in again when its token ends or
is refused, finds Keystone in the catalogue, and writes neither tokens nor passwords into the log.
"""

from typing import Any

import msgspec
from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter
from keystoneauth1.identity import v3
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.session import Session

from zun import __version__
from zun.drivers.identity.keystone import body
from zun.drivers.identity.keystone.body import TokenBody
from zun.drivers.identity.keystone.options import KeystoneOptions
from zun.model.errors import Denied, Invalid, Unavailable

OK = 200
NOT_FOUND = 404
_CONNECT_RETRIES = 1  # a kept connection may have been closed by the other side
_RETRY_DELAY_SECONDS = 0.1
_ACCESS_RULES = {"OpenStack-Identity-Access-Rules": "1"}  # "we heed access rules": else such tokens are refused


class KeystoneAway(Unavailable):
    """Nobody can be asked about tokens. `reason` is for operators: it tells what is wrong and what to correct."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "The identity service (Keystone) cannot check your token at the moment; try again in a moment. "
            "If it stays so, ask your operator: 'zund keystone check' tells what is wrong."
        )
        self.reason = reason


def unknown_token() -> Denied:
    """The refusal of a token that is not good (401)."""
    return Denied("The token is unknown, expired or revoked. Log in at Keystone again.", code="", status=401)


def v3_url(auth_url: str) -> str:
    """The URL of the Identity API v3, however the operator wrote it."""
    url = auth_url.rstrip("/")
    return url if url.endswith("/v3") else f"{url}/v3"


class KeystoneServer:
    """One Keystone. Making it asks nobody; raises `Invalid` for options that cannot work."""

    def __init__(self, options: KeystoneOptions) -> None:
        self._options = options
        self._plugin = login_of(options)
        self.session = session_of(options, self._plugin)
        self._identity = Adapter(
            self.session,
            auth=self._plugin,
            service_type="identity",
            interface=options.interface,
            region_name=options.region_name or None,
            version="3",
            connect_retries=_CONNECT_RETRIES,
            connect_retry_delay=_RETRY_DELAY_SECONDS,
        )

    def fetch(self, token: str, *, allow_expired: bool = False) -> TokenBody:
        """What Keystone knows of a token. Raises `Denied` (401) for one that is not good, `KeystoneAway`."""
        found = self._fetch(token, allow_expired=allow_expired, catalog=False)
        if found.restricted:  # its rules are read together with the catalogue, which nobody else needs
            return self._fetch(token, allow_expired=allow_expired, catalog=True)
        return found

    def close(self) -> None:
        """Let go of connections."""
        self.session.session.close()

    def own_token(self) -> TokenBody:
        """A fresh login of the service's own user, with its catalogue. Raises `KeystoneAway`."""
        with_catalog = login_of(self._options)
        try:
            token = self.session.get_token(with_catalog)
        except exceptions.ClientException as error:
            raise away(error, self._options) from error
        return self._fetch(str(token), allow_expired=False, catalog=True)

    def _fetch(self, token: str, *, allow_expired: bool, catalog: bool) -> TokenBody:
        query = {"allow_expired": "1"} if allow_expired else {}
        if not catalog:
            query["nocatalog"] = "1"
        try:
            answer = self._identity.get(
                "/auth/tokens", params=query, headers={"X-Subject-Token": token} | _ACCESS_RULES, raise_exc=False
            )
        except exceptions.ClientException as error:
            raise away(error, self._options) from error
        if answer.status_code == OK:
            try:
                return body.decode(answer.content)
            except msgspec.DecodeError as error:
                raise KeystoneAway(f"What answers at {answer.url} is no Keystone: {error}.") from error
        if answer.status_code == NOT_FOUND and _is_keystones(answer.content):
            raise unknown_token()
        raise KeystoneAway(self._refused(answer.status_code, answer.url))

    def _refused(self, status: int, url: str) -> str:
        who = who_logs_in(self._options)
        if status in (401, 403):
            return (
                f"Keystone does not let {who} check tokens ({status}): give it the role service in its project, "
                "e.g. openstack role add --user zun --user-domain Default --project service service"
            )
        return f"{url} answered {status}; is it Keystone, and is it well?"


def login_of(options: KeystoneOptions) -> BaseAuthPlugin:
    """How the service logs in. Raises `Invalid` naming the option that is missing."""
    if not options.auth_url:
        raise Invalid("[keystone_authtoken] auth_url is needed with [identity] driver = keystone.")
    if not options.auth_url.startswith(("http://", "https://")):
        raise Invalid(f"[keystone_authtoken] auth_url must be a URL (http or https), not {options.auth_url!r}.")
    url = v3_url(options.auth_url)
    if options.auth_type == "v3applicationcredential":
        _needed(options, "application_credential_id", "application_credential_secret")
        return v3.ApplicationCredential(
            url,
            application_credential_id=options.application_credential_id,
            application_credential_secret=options.application_credential_secret,
        )
    _needed(options, "username", "password", "project_name")
    return v3.Password(
        url,
        username=options.username,
        password=options.password,
        user_domain_id=options.user_domain_id or None,
        user_domain_name=None if options.user_domain_id else options.user_domain_name,
        project_name=options.project_name,
        project_domain_id=options.project_domain_id or None,
        project_domain_name=None if options.project_domain_id else options.project_domain_name,
    )


def session_of(options: KeystoneOptions, plugin: BaseAuthPlugin | None = None) -> Session:
    """Connections to Keystone. A redirect is not followed: it would carry tokens to wherever it points."""
    verify: bool | str = False if options.insecure else (options.cafile or True)
    return Session(
        auth=plugin,
        verify=verify,
        timeout=options.http_connect_timeout,
        redirect=False,
        app_name="zun",
        app_version=__version__,
    )


def who_logs_in(options: KeystoneOptions) -> str:
    """The service's own user, for sentences."""
    if options.auth_type == "v3applicationcredential":
        return f"the application credential {options.application_credential_id}"
    return f"user {options.username} of project {options.project_name}"


def away(error: exceptions.ClientException, options: KeystoneOptions) -> KeystoneAway:
    """The sentence for operators that an error of keystoneauth1 stands for. Raised by who catches it, with the cause."""
    where, who = options.auth_url, who_logs_in(options)
    if isinstance(error, exceptions.Unauthorized):
        return KeystoneAway(
            f"Keystone at {where} refuses the login of {who}: correct user, password, project and domains in [keystone_authtoken]."
        )
    if isinstance(error, exceptions.SSLError):
        return KeystoneAway(f"The certificate of Keystone at {where} is not trusted: set cafile. ({error})")
    if isinstance(error, exceptions.EndpointNotFound):
        region = f" in region {options.region_name}" if options.region_name else ""
        return KeystoneAway(
            f"The catalogue has no {options.interface} endpoint of Keystone{region}: set interface or region_name."
        )
    if isinstance(error, exceptions.ConnectionError):
        return KeystoneAway(f"Keystone at {where} cannot be reached: {error}.")
    return KeystoneAway(f"Keystone at {where} cannot be used: {error}")


def _needed(options: KeystoneOptions, *names: str) -> None:
    for name in names:
        if not getattr(options, name):
            raise Invalid(f"[keystone_authtoken] {name} is needed with auth_type = {options.auth_type}.")


def _is_keystones(content: bytes) -> bool:
    """Whether a 404 speaks of the token, and not of a URL where no Keystone is."""
    try:
        said: Any = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return False
    return isinstance(said, dict) and isinstance(said.get("error"), dict) and said["error"].get("code") == NOT_FOUND
