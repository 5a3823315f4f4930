# SPDX-License-Identifier: Apache-2.0
"""Images that projects made of their own containers: each project has a name space of its own on a node.

Engines know one name space for all. Without this, whoever commits an image named like a public one would decide what others run.
"""

import re
import uuid

from zun.model.errors import NotFound
from zun.model.image_reference import DEFAULT_DOMAIN, ImageReference, parse
from zun.model.project_space import project_space
from zun.store.view import ImageEntry, View

LOCAL_DOMAIN = "committed.zun.local"
"""Registry part of committed images' names; nothing is ever pulled from there."""

_UUIDS = uuid.UUID("5a1b2a52-7d9a-4b0e-9a55-3f0d1f1f6c11")


def own_reference(project_id: str, repository: str, tag: str | None) -> ImageReference:
    """The full name under which a project's image lies on a node. Raises `Invalid` for a malformed name."""
    asked = parse(repository if not tag else f"{repository}:{tag}")
    path = asked.path if asked.domain == DEFAULT_DOMAIN else f"{_path_part(asked.domain)}/{asked.path}"
    return ImageReference(LOCAL_DOMAIN, f"{project_space(project_id)}/{path}", asked.tag)


def image_uuid(project_id: str, node: str, reference: ImageReference) -> str:
    """The uuid of a committed image: committing to the same name again replaces it."""
    return str(uuid.uuid5(_UUIDS, f"{project_id} {node} {reference.canonical()}"))


def find(view: View, project_id: str, image: str) -> ImageEntry | None:
    """The project's own image of this name, if it made one. Raises `NotFound` for a name in another project's space."""
    asked = parse(image)
    if asked.domain == LOCAL_DOMAIN:
        if not asked.path.startswith(f"{project_space(project_id)}/"):
            raise NotFound(f"There is no image {image}.", code="image-not-found", status=400)
        wanted = asked.canonical()
    elif asked.digest is not None:
        return None
    else:
        wanted = own_reference(project_id, f"{asked.name}", asked.tag).canonical()
    return next(
        (
            entry
            for entry in view.images(committed_by=project_id)
            if entry.wish.source.reference == wanted and not entry.wish.absent
        ),
        None,
    )


def _path_part(domain: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", domain.lower()).strip("-")
