# SPDX-License-Identifier: Apache-2.0
"""The volumes of a capsule's template, and where its containers mount them."""

from zun.model import container_rules as rules
from zun.model.errors import Invalid, Unsupported
from zun.model.parts import Mount
from zun.model.rules import NARROW_BOOLEAN, SCHEMA_VIOLATION, integer, text
from zun.model.template_part import Part

_SIZE = integer(1, 10**6)
_VOLUME_ID = text(36, 36)
_PATH = text(2, 4096, pattern=r"/[^\x00:]+", hint="an absolute path in the container, without ':'")


class Volumes:
    """What `spec.volumes` names: `local` ones are volumes of the node by the name `source`, `cinder` ones need the volume service."""

    def __init__(self, spec: Part) -> None:
        self._spec = spec
        self._sources: dict[str, str] = {}
        self._paths: dict[str, str] = {}
        self._used: set[str] = set()
        self._cinder = ""
        for part in spec.parts("volumes"):
            self._take(part)

    def source(self, name: str, path: str) -> str:
        """The node's volume of this name. Raises `Invalid`: `path` names a volume that there is not."""
        if name not in self._sources:
            raise Invalid(
                f"'{path}' names the volume {name}, which {self._spec.at('volumes')} does not have.",
                code=SCHEMA_VIOLATION,
            )
        self._used.add(name)
        return self._sources[name]

    def finish(self) -> None:
        """Raises `Invalid` for a volume that nobody mounts, `Unsupported` for one that needs another service."""
        unused = [path for name, path in self._paths.items() if name not in self._used]
        if unused:
            raise Invalid(
                f"'{unused[0]}' is a volume that no container mounts; mount it or leave it out.", code=SCHEMA_VIOLATION
            )
        if self._cinder:
            raise Unsupported(
                f"'{self._cinder}' needs the volume service, which is not configured here; use a volume of the node ('local') instead.",
                code="volume-not-usable",
            )

    def _take(self, part: Part) -> None:
        name = part.need("name", rules.NAME)
        if name in self._sources:
            raise Invalid(f"'{part.at('name')}' is the name of another volume already.", code=SCHEMA_VIOLATION)
        cinder, local = part.part("cinder"), part.part("local")
        if (cinder is None) == (local is None):
            raise Invalid(f"'{part.path}' needs exactly one of cinder and local.", code=SCHEMA_VIOLATION)
        self._paths[name] = part.path
        self._sources[name] = local.take("source", rules.VOLUME_NAME, name) if local is not None else ""
        if local is not None:
            local.finish()
        if cinder is not None:
            self._cinder = self._cinder or cinder.path
            if cinder.has("volumeID") == cinder.has("size"):
                raise Invalid(f"'{cinder.path}' needs exactly one of volumeID and size.", code=SCHEMA_VIOLATION)
            cinder.take("volumeID", _VOLUME_ID)
            cinder.take("size", _SIZE)
            cinder.take("autoRemove", NARROW_BOOLEAN)
            cinder.finish()
        part.finish()


def mounts_of(container: Part, volumes: Volumes) -> list[Mount]:
    """Where a container mounts volumes."""
    mounts = []
    for part in container.parts("volumeMounts"):
        name = part.need("name", rules.NAME)
        destination = part.need("mountPath", _PATH)
        read_only = part.take("readOnly", NARROW_BOOLEAN, False)
        part.finish()
        mounts.append(Mount(destination, source=volumes.source(name, part.at("name")), read_only=read_only))
    return mounts
