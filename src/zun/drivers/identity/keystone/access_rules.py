# SPDX-License-Identifier: Apache-2.0
"""Access rules of application credentials, read as keystonemiddleware reads them for every other service of the cloud.

https://docs.openstack.org/keystone/latest/user/application_credentials.html#access-rules
"""

import msgspec

from zun.drivers.identity.base import Asked
from zun.drivers.identity.keystone.body import TokenBody


class _Request(msgspec.Struct, frozen=True):
    """A request as keystonemiddleware looks at it."""

    method: str
    path: str
    service_token: str | None = None  # whether one is there and good is settled before


def opens(token: TokenBody, asked: Asked, service_type: str) -> bool:
    """Whether the rules of the token's application credential name this request. For threads: the first call loads a library."""
    from keystonemiddleware.auth_token import BaseAuthProtocol, InvalidToken  # noqa: PLC0415 - few tokens have rules

    said = {
        "application_credential": token.application_credential,
        "catalog": [{"type": entry.type} for entry in token.catalog],
    }
    try:
        BaseAuthProtocol(None, service_type=service_type).validate_allowed_request(
            _Request(asked.method, asked.path), said
        )
    except InvalidToken:
        return False
    return True
