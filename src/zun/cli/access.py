# SPDX-License-Identifier: Apache-2.0
"""Where the service is and with which token: the first of these that says something counts.

1. options `--url` and `--token`
2. `ZUN_URL` and `ZUN_TOKEN`
3. `--os-cloud` or `OS_CLOUD`: an entry of clouds.yaml (`./`, `~/.config/openstack/`, `/etc/openstack/`), with secure.yaml
4. `OS_*` variables, when `OS_AUTH_TYPE`, `OS_AUTH_URL` or `OS_TOKEN` is set
5. the local service: `local.json` in `$ZUN_STATE_DIR`, `/var/lib/zun` or `~/.local/share/zun`
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zun.cli.clouds import from_file, from_variables
from zun.cli.failures import UNREACHABLE, USAGE, Failure


@dataclass(frozen=True)
class Access:
    """A way in. `url` is the service's root without `/v1`; `source` says where it was found.

    `again` logs in anew, for when the token has expired; None where nobody knows more than the token. Raises `Failure`.
    """

    url: str
    token: str = field(repr=False)
    project_id: str
    source: str
    verify: bool | str = True
    again: "Callable[[], Access] | None" = None


def find_access(
    *, url: str | None, token: str | None, cloud: str | None, environment: Mapping[str, str] = os.environ
) -> Access:
    """See the module. Raises `Failure` that says what was looked for and how to give it."""
    url = url or environment.get("ZUN_URL")
    token = token or environment.get("ZUN_TOKEN")
    if url and token:
        return Access(service_root(url), token, environment.get("ZUN_PROJECT", ""), "--url/ZUN_URL")
    cloud = cloud or environment.get("OS_CLOUD")
    if cloud:
        settings, path = from_file(cloud, environment)
        return _from_settings(settings, f"{path}, cloud {cloud}")
    if any(environment.get(name) for name in ("OS_AUTH_TYPE", "OS_AUTH_URL", "OS_TOKEN")):
        return _from_settings(from_variables(environment), "OS_* variables")
    local = _local(environment)
    if local is not None and not url and not token:
        return local
    if local is not None:
        return Access(service_root(url or local.url), token or local.token, local.project_id, local.source)
    if url:
        raise Failure("No token for that URL: give --token, or set ZUN_TOKEN.", UNREACHABLE)
    raise Failure(
        "No service found: start one here with `make run`, or give --url and --token (ZUN_URL, ZUN_TOKEN),"
        " or name a cloud of clouds.yaml with --os-cloud.",
        UNREACHABLE,
    )


def service_root(url: str) -> str:
    """The root of the service, however its URL was written."""
    root = url.rstrip("/")
    return root[:-3] if root.endswith("/v1") else root


def _local(environment: Mapping[str, str]) -> Access | None:
    given = environment.get("ZUN_STATE_DIR")
    places = [Path(given)] if given else [Path("/var/lib/zun"), Path.home() / ".local/share/zun"]
    for place in places:
        path = place / "local.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return Access(found["url"], found["token"], found.get("project_id", ""), str(path))
        except FileNotFoundError:
            continue
        except PermissionError:
            continue
        except (OSError, ValueError, KeyError) as error:
            raise Failure(
                f"{path} cannot be used ({error}); restart the service to write it anew.", UNREACHABLE
            ) from error
    return None


def _from_settings(settings: Mapping[str, Any], source: str) -> Access:
    auth = settings.get("auth") or {}
    override = settings.get("container_endpoint_override") or settings.get("application_container_endpoint_override")
    verify = settings.get("cacert") or settings.get("verify", True)
    token, endpoint = auth.get("token"), auth.get("endpoint") or override
    if token and endpoint:
        return Access(service_root(endpoint), token, auth.get("project_id", ""), source, verify)
    if not auth.get("auth_url"):
        raise Failure(f"{source}: neither a token with an endpoint nor an auth_url is given.", USAGE)
    from zun.cli.keystone import Wish, log_in  # noqa: PLC0415 - only for clouds

    wish = Wish(verify, settings.get("region_name"), settings.get("interface") or "public", override)

    def access() -> Access:
        session = log_in(auth, wish)
        return Access(service_root(session.endpoint), session.token, session.project_id, source, verify, access)

    return access()
