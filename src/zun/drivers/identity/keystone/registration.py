# SPDX-License-Identifier: Apache-2.0
"""The service's entry in a cloud's catalogue, made or put right by the cloud's administrator (Identity API v3, services and endpoints).

Doing it again changes nothing. Nothing is deleted: what is there twice is named, for a person to decide.
"""

import argparse
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec
from keystoneauth1 import exceptions, loading
from keystoneauth1.adapter import Adapter
from keystoneauth1.session import Session

from zun.drivers.identity.keystone.server import v3_url
from zun.model.errors import Conflict, Denied, Invalid, NotFound, Unavailable

SERVICE_NAME = "zun"
_DESCRIPTION = "Containers"
_VERSION = "/v1"


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What the catalogue is to say. Where a URL is not given it is the public one; `region` may be left out where there is only one."""

    service_type: str
    public_url: str
    internal_url: str = ""
    admin_url: str = ""
    region: str = ""

    def urls(self) -> dict[str, str]:
        """The URL for each interface. Raises `Invalid` for what is no URL."""
        public = endpoint_url(self.public_url)
        return {
            "public": public,
            "internal": endpoint_url(self.internal_url) if self.internal_url else public,
            "admin": endpoint_url(self.admin_url) if self.admin_url else public,
        }


def endpoint_url(given: str) -> str:
    """The URL as clients need it, ending in `/v1`: python-zunclient cuts that off. Raises `Invalid`."""
    url = given.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise Invalid(f"{given!r} is no URL of a service; give one like https://cloud.example:9517/v1.")
    return url if url.endswith(_VERSION) else url + _VERSION


def administrator() -> "Catalogue":
    """Who the `OS_*` variables say. Raises `Invalid` when they do not say enough."""
    if not os.environ.get("OS_AUTH_URL"):
        raise Invalid(
            "Registering takes the cloud's administrator: set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME, "
            "OS_USER_DOMAIN_NAME and OS_PROJECT_DOMAIN_NAME (source the administrator's openrc file)."
        )
    parser = argparse.ArgumentParser(add_help=False)
    try:
        loading.register_auth_argparse_arguments(parser, [], default="password")
        loading.register_session_argparse_arguments(parser)
        said = parser.parse_args([])
        plugin = loading.load_auth_from_argparse_arguments(said)
        session = loading.load_session_from_argparse_arguments(said, auth=plugin)
    except exceptions.ClientException as error:
        raise Invalid(f"The OS_* variables do not make a login: {error}") from error
    return Catalogue(session, v3_url(os.environ["OS_AUTH_URL"]))


class Catalogue:
    """Keystone's catalogue, in the hands of who `session` is. Blocks."""

    def __init__(self, session: Session, url: str) -> None:
        self._session = session
        self._url = url
        self._keystone = Adapter(session, service_type="identity", endpoint_override=url)

    def token(self) -> str:
        """A token of who this is. Raises `Denied`, `Unavailable`."""
        try:
            return str(self._session.get_token())
        except exceptions.ClientException as error:
            raise _explained(error, self._url) from error

    def register(self, wanted: Registration) -> Iterator[str]:
        """Do it; one line for each thing that was looked at.

        Raises `Denied` for who may not, `Conflict` for what a person must decide, `NotFound` for an unknown region, `Unavailable`.
        """
        urls = wanted.urls()
        region = self._region(wanted.region)
        service, line = self._service(wanted.service_type)
        yield line
        for interface, url in urls.items():
            yield self._endpoint(service, region, interface, url)

    def _region(self, wanted: str) -> str:
        known = sorted(region["id"] for region in self._call("GET", "/regions")["regions"])
        if wanted in known:
            return wanted
        there_are = f"the cloud has {', '.join(known) or 'none'}"
        if wanted:
            raise NotFound(f"There is no region {wanted!r}; {there_are}. (openstack region create makes one.)")
        if len(known) != 1:
            raise Invalid(f"Say which region with --region; {there_are}.")
        return str(known[0])

    def _service(self, kind: str) -> tuple[str, str]:
        found = self._call("GET", "/services", type=kind)["services"]
        if len(found) > 1:
            raise Conflict(
                f"The catalogue has {len(found)} services of type {kind}: {', '.join(one['id'] for one in found)}. "
                "Clients would meet any of them: delete the others (openstack service delete ID)."
            )
        if found:
            return str(found[0]["id"]), f"service {found[0].get('name')} ({kind}): there already"
        new = {"type": kind, "name": SERVICE_NAME, "description": _DESCRIPTION, "enabled": True}
        made = self._call("POST", "/services", {"service": new})["service"]
        return str(made["id"]), f"service {SERVICE_NAME} ({kind}): made"

    def _endpoint(self, service: str, region: str, interface: str, url: str) -> str:
        which = {"service_id": service, "region_id": region, "interface": interface}
        what = f"endpoint {interface} in {region}: {url}"
        found = self._call("GET", "/endpoints", **which)["endpoints"]
        if len(found) > 1:
            raise Conflict(
                f"The service has {len(found)} {interface} endpoints in {region}: {', '.join(one['id'] for one in found)}. "
                "Delete all but one (openstack endpoint delete ID)."
            )
        if not found:
            self._call("POST", "/endpoints", {"endpoint": which | {"url": url, "enabled": True}})
            return f"{what}: made"
        before = found[0]["url"]
        if before == url:
            return f"{what}: there already"
        self._call("PATCH", f"/endpoints/{found[0]['id']}", {"endpoint": {"url": url}})
        return f"{what}: changed, it was {before}"

    def _call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        try:
            return self._keystone.request(path, method, json=body, params=query).json()
        except exceptions.ClientException as error:
            raise _explained(error, self._url) from error


def _explained(error: exceptions.ClientException, url: str) -> Denied | Unavailable:
    if isinstance(error, exceptions.Unauthorized):
        return Denied(
            f"Keystone at {url} refuses the login of the OS_* variables; check user, password, project and domains."
        )
    if isinstance(error, exceptions.Forbidden):
        return Denied(
            f"The login of the OS_* variables may not change the catalogue of {url}; use the cloud's administrator."
        )
    return Unavailable(f"Keystone at {url} cannot be used: {error}")
