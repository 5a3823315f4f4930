# SPDX-License-Identifier: Apache-2.0
"""Where a container's image comes from: resolved when the request is accepted, so that every node means the same one."""

import msgspec

from zun.base.ids import canonical_uuid
from zun.base.sealing import BadKeyError, MasterKey
from zun.drivers.runtime.types import Credentials
from zun.model import image_reference
from zun.model.errors import Conflict, Internal, Invalid, NotFound
from zun.model.records import ImageSource
from zun.model.registry import RegistryRecord
from zun.services import committed
from zun.store.view import View

DEFAULT_PULL_POLICY = "ifnotpresent"


class ResolvedImage(msgspec.Struct, frozen=True):
    """An image's source, the registry it was asked from, and the login to stage for the node (JSON of `Credentials`)."""

    source: ImageSource
    registry_id: str | None = None
    login: bytes | None = None


class ImageSources:
    """Resolves what requests call an image."""

    def __init__(self, view: View, master_key: MasterKey) -> None:
        self._view = view
        self._master_key = master_key

    def resolve(self, project_id: str, image: str, registry: str | None, pull_policy: str | None) -> ResolvedImage:
        """The source of `image` for a container of the project.

        Without a registry in its name the image comes from `registry` (name or uuid) when one is given; else it may be the
        project's own, made by a commit; else it comes from the public registry. Raises `Invalid` for a malformed name,
        `NotFound` and `Conflict` for an unknown or ambiguous registry.
        """
        policy = pull_policy or DEFAULT_PULL_POLICY
        if registry is None:
            own = committed.find(self._view, project_id, image)
            if own is not None:
                return ResolvedImage(ImageSource(own.wish.source.reference, "never"))
            return ResolvedImage(ImageSource(image_reference.parse(image).canonical(), policy))
        record = self._registry(project_id, registry)
        reference = image_reference.parse(image, default_domain=record.domain)
        if reference.domain != record.domain:
            raise Invalid(
                f"Image {image} names the registry {reference.domain}, but registry {record.name} is {record.domain}; "
                "leave one of the two out."
            )
        login = self._login(record)
        source = ImageSource(reference.canonical(), policy, credentials=login is not None)
        return ResolvedImage(source, record.uuid, login)

    def replace(self, project_id: str, image: str, old: ImageSource | None) -> ImageSource:
        """The source of another image for a container that exists. Its login stays good for the registry it was given for."""
        new = self.resolve(project_id, image, None, old.pull_policy if old and old.pull_policy != "never" else None)
        same_registry = old is not None and old.reference.partition("/")[0] == new.source.reference.partition("/")[0]
        return msgspec.structs.replace(new.source, credentials=same_registry and old is not None and old.credentials)

    def _registry(self, project_id: str, ident: str) -> RegistryRecord:
        uuid = canonical_uuid(ident)
        found = self._view.registry(uuid) if uuid is not None else None
        if found is not None and found[0].project_id == project_id:
            return found[0]
        named = [record for record in self._view.registries(project_id) if record.name == ident]
        if len(named) > 1:
            raise Conflict(f"{len(named)} registries are named {ident}; use the uuid of the one you mean.")
        if not named:
            raise NotFound(f"Registry {ident} could not be found; list the registries.", code="registry-not-found")
        return named[0]

    def _login(self, record: RegistryRecord) -> bytes | None:
        if not record.username and record.password is None:
            return None
        try:
            password = self._master_key.decrypt(record.password).decode() if record.password is not None else ""
        except BadKeyError as error:
            raise Internal(f"The password of registry {record.name} does not open; save it again.") from error
        return msgspec.json.encode(Credentials(record.username or "", password, record.domain))
