# SPDX-License-Identifier: Apache-2.0
"""What clients ask first: which versions there are, and where things are. No token needed."""

from typing import Any

from starlette.responses import Response

from zun.api import responses
from zun.api.requests import Call
from zun.model.microversions import MAXIMUM, MINIMUM, text

_COLLECTIONS = (
    "services",
    "containers",
    "images",
    "networks",
    "hosts",
    "capsules",
    "availability_zones",
    "quotas",
    "quota_classes",
    "registries",
)


class DiscoveryHandlers:
    """The two discovery documents."""

    async def root(self, call: Call) -> Response:
        """The versions of the API."""
        version = _version(call.base_url)
        return responses.json(
            {
                "name": "OpenStack Zun API",
                "description": "Zun makes containers and manages their life through one API.",
                "default_version": version,
                "versions": [version],
            }
        )

    async def v1(self, call: Call) -> Response:
        """What is below `/v1`; `version` is what gophercloud and keystoneauth read."""
        base = call.base_url
        document: dict[str, Any] = {
            "id": "v1",
            "media_types": [{"base": "application/json", "type": "application/vnd.openstack.zun.v1+json"}],
            "links": [
                {"rel": "self", "href": f"{base}/v1/"},
                {"rel": "describedby", "type": "application/json", "href": f"{base}/v1/openapi.json"},
            ],
            "version": _version(base),
        }
        for name in _COLLECTIONS:
            document[name] = [
                {"rel": "self", "href": f"{base}/v1/{name}/"},
                {"rel": "bookmark", "href": f"{base}/{name}/"},
            ]
        return responses.json(document)


def _version(base_url: str) -> dict[str, Any]:
    return {
        "id": "v1",
        "status": "CURRENT",
        "min_version": text(MINIMUM),
        "max_version": text(MAXIMUM),
        "links": [{"rel": "self", "href": f"{base_url}/v1/"}],
    }
