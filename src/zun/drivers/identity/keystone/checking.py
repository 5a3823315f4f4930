# SPDX-License-Identifier: Apache-2.0
"""What is wrong between this service and its Keystone, looked at in the order in which one thing needs the other. Blocks."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec
from keystoneauth1 import exceptions
from keystoneauth1.session import Session

from zun.base.clock import Clock
from zun.drivers.identity.keystone.body import TokenBody
from zun.drivers.identity.keystone.options import KeystoneOptions
from zun.drivers.identity.keystone.server import OK, KeystoneAway, KeystoneServer, session_of, v3_url, who_logs_in
from zun.model.errors import ZunError

CHECKERS = ("service", "admin")
"""The roles with which a user may check other people's tokens, by Keystone's own policy."""

TOLERATED_SKEW_SECONDS = 5.0
_VERSION = "/v1"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. `advice` is empty when it is well."""

    what: str
    advice: str = ""

    @property
    def well(self) -> bool:
        """Whether there is nothing to do."""
        return not self.advice


def check(options: KeystoneOptions, clock: Clock) -> Iterator[Finding]:
    """Look at everything that can be looked at. What cannot, because something before it is broken, is left out."""
    try:
        server = KeystoneServer(options)
    except ZunError as error:
        yield Finding("[keystone_authtoken] is not complete", error.message)
        return
    session = session_of(options)
    yield from _reach(options, session)
    before = clock.now()
    try:
        token = server.own_token()
    except ZunError as error:
        reason = error.reason if isinstance(error, KeystoneAway) else error.message
        yield Finding(f"{who_logs_in(options)} cannot log in and check a token", reason)
        return
    finally:
        server.close()
    yield Finding(f"logged in as {who_logs_in(options)}")
    yield _clock(token, before, clock.now())
    yield _roles(token, options)
    yield from _catalogue(token, options, session)


def who_may_check(options: KeystoneOptions, token: str) -> Finding:
    """Whether the service's own user may check somebody else's token."""
    if not options.auth_url:
        return Finding("[keystone_authtoken] is empty, so the service's own user was not tried")
    try:
        server = KeystoneServer(options)
        server.fetch(token)
    except ZunError as error:
        reason = error.reason if isinstance(error, KeystoneAway) else error.message
        return Finding(f"{who_logs_in(options)} cannot check tokens", reason)
    server.close()
    return Finding(f"{who_logs_in(options)} can check tokens")


def _reach(options: KeystoneOptions, session: Session) -> Iterator[Finding]:
    urls = {"auth_url": options.auth_url, "www_authenticate_uri": options.www_authenticate_uri}
    for name, url in urls.items():
        if not url:
            yield Finding(
                f"{name} is not set: clients without a good token are sent to auth_url",
                f"Set it to Keystone's public URL, unless clients reach {options.auth_url} as well.",
            )
            continue
        what = f"{name} {url}"
        try:
            answer = session.get(v3_url(url), authenticated=False, raise_exc=False)
        except exceptions.ClientException as error:
            yield Finding(f"{what} does not answer", f"Correct it, or start Keystone: {error}")
            continue
        if answer.status_code == OK and b'"version"' in answer.content:
            yield Finding(f"{what} is a Keystone that speaks v3")
        else:
            yield Finding(
                f"{what} answers {answer.status_code} and is no Keystone that speaks v3",
                f"Correct {name} in [keystone_authtoken].",
            )


def _clock(token: TokenBody, before: float, after: float) -> Finding:
    """Keystone wrote when it issued the token; that lies between two looks at our clock, but for the second it is rounded to."""
    if token.issued_at is None:
        return Finding("Keystone does not tell its time")
    issued = token.issued_at.timestamp()
    skew = max(before - 1 - issued, issued - after, 0.0)
    if skew <= TOLERATED_SKEW_SECONDS:
        return Finding("the clocks of Keystone and of this machine agree")
    return Finding(
        f"the clocks of Keystone and of this machine differ by {skew:.0f} s",
        "Tokens would end too early or too late: let both follow the same time servers (chrony, ntp).",
    )


def _roles(token: TokenBody, options: KeystoneOptions) -> Finding:
    has = ", ".join(sorted(token.role_names)) or "none"
    if not token.role_names.isdisjoint(CHECKERS):
        return Finding(f"its roles are enough to check tokens ({has})")
    return Finding(
        f"its roles are not enough to check other people's tokens ({has})",
        f"Give {who_logs_in(options)} the role service: openstack role add --user … --project … service",
    )


def _catalogue(token: TokenBody, options: KeystoneOptions, session: Session) -> Iterator[Finding]:
    kind = options.service_type
    register = "zund keystone register --public-url https://HOST:9517/v1 makes it."
    entries = [entry for entry in token.catalog if entry.type == kind]
    if not entries:
        yield Finding(f"the catalogue has no service of type {kind}", register)
        return
    if len(entries) > 1:
        yield Finding(f"the catalogue has {len(entries)} services of type {kind}", "Delete all but one.")
    endpoints = [one for one in entries[0].endpoints if options.region_name in ("", one.get("region_id"))]
    where = f" in region {options.region_name}" if options.region_name else ""
    if not any(one.get("interface") == "public" for one in endpoints):
        yield Finding(f"service {entries[0].name} ({kind}) has no public endpoint{where}", register)
    for one in endpoints:
        yield _endpoint(str(one.get("interface")), str(one.get("url")), session)


def _endpoint(interface: str, url: str, session: Session) -> Finding:
    what = f"the {interface} endpoint {url}"
    if not url.endswith(_VERSION):
        return Finding(f"{what} does not end in /v1", "Clients need that: zund keystone register puts it right.")
    try:
        answer = session.get(url.removesuffix(_VERSION) + "/", authenticated=False, raise_exc=False)
    except exceptions.ClientException:
        return Finding(
            f"{what} does not answer", f"Start the service, or correct the URL; {urlsplit(url).netloc} was asked."
        )
    if answer.status_code == OK and b"OpenStack Zun API" in answer.content:
        return Finding(f"{what} is this service")
    return Finding(
        f"{what} answers {answer.status_code} and is another service", "Correct the URL: zund keystone register."
    )
