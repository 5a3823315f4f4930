# SPDX-License-Identifier: Apache-2.0
"""Picks who says whom a token belongs to."""

import logging
from pathlib import Path

from zun.base.clock import Clock
from zun.config import Settings
from zun.drivers.identity.base import Identity
from zun.drivers.identity.static.identity import StaticIdentity
from zun.drivers.identity.static.local import ensure_local_access
from zun.policy.enforcer import Policy

_LOG = logging.getLogger(__name__)


def tokens_path(settings: Settings) -> Path:
    """Where the token file of static identity lies."""
    return Path(settings.identity.tokens_file or settings.state_dir / "tokens.json")


def open_identity(settings: Settings, url: str, policy: Policy, clock: Clock) -> Identity:
    """Who callers are. `url`: where this process serves, for the file by which zunctl finds a local service."""
    local = settings.state_dir / "local.json"
    if settings.identity.driver == "keystone":
        from zun.drivers.identity.keystone.identity import KeystoneIdentity  # noqa: PLC0415 - it weighs

        local.unlink(missing_ok=True)  # its token opens nothing any more
        return KeystoneIdentity(settings.keystone_authtoken, clock=clock, is_admin=policy.is_admin)
    access = ensure_local_access(tokens_path(settings), local, url)
    _LOG.debug("the local access of project %s is in %s", access.project_id, local)
    return StaticIdentity(tokens_path(settings), clock=clock, is_admin=policy.is_admin)
