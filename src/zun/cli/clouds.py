# SPDX-License-Identifier: Apache-2.0
"""The settings of a cloud: an entry of clouds.yaml with what secure.yaml beside it adds, or OS_* variables in the same form."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zun.cli.failures import USAGE, Failure

CLOUDS_FILES = (Path("clouds.yaml"), Path.home() / ".config/openstack/clouds.yaml", Path("/etc/openstack/clouds.yaml"))
_AUTH = (
    "token", "endpoint", "auth_url", "username", "password", "user_id", "project_name", "project_id",
    "user_domain_name", "user_domain_id", "project_domain_name", "project_domain_id",
    "application_credential_id", "application_credential_name", "application_credential_secret",
)  # fmt: skip


def from_variables(environment: Mapping[str, str]) -> dict[str, Any]:
    """OS_* variables as the mapping that an entry of clouds.yaml is."""
    auth = {name: environment[f"OS_{name.upper()}"] for name in _AUTH if environment.get(f"OS_{name.upper()}")}
    return {
        "auth_type": environment.get("OS_AUTH_TYPE", ""),
        "auth": auth,
        "region_name": environment.get("OS_REGION_NAME"),
        "interface": environment.get("OS_INTERFACE") or environment.get("OS_ENDPOINT_TYPE"),
        "container_endpoint_override": environment.get("OS_CONTAINER_ENDPOINT_OVERRIDE"),
        "cacert": environment.get("OS_CACERT"),
        "verify": environment.get("OS_INSECURE", "").lower() not in ("1", "true", "yes"),
    }


def from_file(name: str, environment: Mapping[str, str]) -> tuple[dict[str, Any], Path]:
    """The entry `name` of the first clouds.yaml there is, and that file. Raises `Failure`."""
    given = environment.get("OS_CLIENT_CONFIG_FILE")
    for path in [Path(given)] if given else CLOUDS_FILES:
        if not path.is_file():
            continue
        clouds = _read(path)
        if name not in clouds:
            raise Failure(f"{path} has no cloud `{name}`; it has {', '.join(sorted(clouds)) or 'none'}.", USAGE)
        secret = path.with_name("secure.yaml")
        added = _read(secret).get(name) if secret.is_file() else None
        return _merged(clouds[name], added or {}), path
    raise Failure(
        f"There is no clouds.yaml for cloud `{name}`; it is looked for in ., ~/.config/openstack, /etc/openstack.",
        USAGE,
    )


def _read(path: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - only who has a clouds.yaml pays for it

    try:
        return dict((yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("clouds") or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise Failure(f"{path} cannot be read: {error}", USAGE) from error


def _merged(entry: Any, added: Any) -> dict[str, Any]:
    if not isinstance(entry, dict) or not isinstance(added, dict):
        raise Failure("A cloud in clouds.yaml and secure.yaml must be a mapping.", USAGE)
    both = {key: _merged(entry[key], added[key]) for key in entry.keys() & added.keys() if isinstance(entry[key], dict)}
    return entry | added | both
