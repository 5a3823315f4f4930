# SPDX-License-Identifier: Apache-2.0
"""What the view holds: raw bytes with the few fields its indexes need; records are decoded when somebody asks.

A hundred thousand containers must fit in little memory, and most of them are not looked at most of the time.
"""

import sys

import msgspec

from zun.model.capsule import child_of, child_record, child_seen
from zun.model.children import RecordKind
from zun.model.errors import Internal
from zun.model.networks import NetworkRecord
from zun.model.records import (
    ContainerRecord,
    ImageObservation,
    ImageWish,
    NodeInfo,
    NodeRecord,
    Observation,
    Place,
)
from zun.model.status import Derived
from zun.store.codec import decode

ABSENT = b""
_LEAVING = b'"leaving"'
_NETWORK = b'"network_id"'
_DETACHED = b'"detached"'


class _IndexedSpec(msgspec.Struct):
    name: str = ""


class _IndexedChild(msgspec.Struct):
    uuid: str


class _IndexedWish(msgspec.Struct):
    project_id: str
    created_at: float
    spec: _IndexedSpec
    kind: RecordKind = RecordKind.CONTAINER
    children: list[_IndexedChild] = []


class _IndexedPlace(msgspec.Struct):
    node: str


class _IndexedImage(msgspec.Struct):
    node: str
    project_id: str
    committed: bool = False


class ContainerEntry:
    """One container, or one capsule: its three records as bytes, with the revision at which each was last written (0: absent).

    `children` are the uuids of a capsule's containers.
    """

    __slots__ = (
        "children",
        "created_at",
        "derived",
        "kind",
        "name",
        "node",
        "place_raw",
        "place_revision",
        "project_id",
        "seen_raw",
        "seen_revision",
        "uuid",
        "wish_raw",
        "wish_revision",
    )

    def __init__(self, uuid: str) -> None:
        self.uuid = uuid
        self.project_id = ""
        self.name = ""
        self.node = ""
        self.created_at = 0.0
        self.kind = RecordKind.CONTAINER
        self.children: tuple[str, ...] = ()
        self.wish_raw = self.place_raw = self.seen_raw = ABSENT
        self.wish_revision = self.place_revision = self.seen_revision = 0
        self.derived: Derived | None = None

    @property
    def revision(self) -> int:
        """The newest revision of its records."""
        return max(self.wish_revision, self.place_revision, self.seen_revision)

    @property
    def may_be_leaving(self) -> bool:
        """Whether its place may say that it leaves its node; cheap, without decoding."""
        return _LEAVING in self.place_raw

    @property
    def may_change_networks(self) -> bool:
        """Whether networks are to be attached or detached, or something of one is to be given back; cheap, likewise."""
        return _NETWORK in self.wish_raw or _DETACHED in self.place_raw

    def record(self) -> ContainerRecord:
        """The wish. Raises `Internal` when it is damaged."""
        return decode(ContainerRecord, self.wish_raw)

    def place(self) -> Place | None:
        """Where it was put, if anything was decided. Raises `Internal` when the record is damaged."""
        return decode(Place, self.place_raw) if self.place_revision else None

    def seen(self) -> Observation | None:
        """What the node of its place sees; None when that node said nothing. Raises `Internal` when it is damaged."""
        return decode(Observation, self.seen_raw) if self.seen_revision else None

    def set_wish(self, raw: bytes, revision: int) -> None:
        """Take in a wish. Raises `Internal`, and changes nothing, when it is damaged."""
        indexed = decode(_IndexedWish, raw)
        self.wish_raw, self.wish_revision = raw, revision
        self.project_id = sys.intern(indexed.project_id)
        self.name = indexed.spec.name
        self.created_at = indexed.created_at
        self.kind = indexed.kind
        self.children = tuple(child.uuid for child in indexed.children)

    def set_place(self, raw: bytes, revision: int) -> None:
        """Take in a place (absent: empty bytes and 0). Raises `Internal`, and changes nothing, when it is damaged."""
        self.node = sys.intern(decode(_IndexedPlace, raw).node) if revision else ""
        self.place_raw, self.place_revision = raw, revision

    def set_seen(self, raw: bytes, revision: int) -> None:
        """Take in an observation of its node (absent: empty bytes and 0)."""
        self.seen_raw, self.seen_revision = raw, revision


class ChildEntry(ContainerEntry):
    """One container of a capsule, made from the capsule's entry when somebody asks for it: it has no records of its own."""

    __slots__ = ("capsule_uuid",)

    def __init__(self, capsule: ContainerEntry, uuid: str) -> None:
        """Raises `Internal` when the capsule's wish is damaged."""
        super().__init__(uuid)
        self.capsule_uuid = capsule.uuid
        self.project_id, self.node, self.created_at = capsule.project_id, capsule.node, capsule.created_at
        self.wish_raw, self.wish_revision = capsule.wish_raw, capsule.wish_revision
        self.place_raw, self.place_revision = capsule.place_raw, capsule.place_revision
        self.seen_raw, self.seen_revision = capsule.seen_raw, capsule.seen_revision
        self.kind = RecordKind.CHILD
        self.name = self.record().spec.name

    def record(self) -> ContainerRecord:
        """What is wished of it, as if it stood alone."""
        record = super().record()
        child = child_of(record, self.uuid)
        if child is None:
            raise Internal(f"Capsule {self.capsule_uuid} has no container {self.uuid} any more; ask again.")
        return child_record(record, child)

    def seen(self) -> Observation | None:
        """What its node sees of it."""
        return child_seen(super().seen(), self.uuid)


class NodeEntry:
    """One node: what it says of itself, what is said of it, and whether its heartbeat is there."""

    __slots__ = (
        "heartbeat_revision",
        "info",
        "info_revision",
        "life_revision",
        "liveness_revision",
        "lost_at",
        "name",
        "record",
        "record_raw",
        "record_revision",
        "restarting",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.info: NodeInfo | None = None
        self.info_revision = 0
        self.record: NodeRecord | None = None
        self.record_raw = ABSENT
        self.record_revision = 0
        self.heartbeat_revision = 0
        self.life_revision = 0
        self.liveness_revision = 0
        self.restarting = False
        self.lost_at: float | None = None
        """When this view saw its heartbeat vanish, by the wall clock; None while it is there, and when it was away from the beginning."""

    @property
    def counts(self) -> bool:
        """Whether it is one of those of which not too many may be gone at once: registered, heard of, and not declared down."""
        return self.record is not None and not self.record.forced_down and bool(self.info_revision)

    @property
    def gone(self) -> bool:
        """Whether its heartbeat is missing, whatever operators say of it."""
        return not self.heartbeat_revision

    @property
    def alive(self) -> bool:
        """Whether it reports, and nobody declared it down."""
        return bool(self.heartbeat_revision) and not (self.record is not None and self.record.forced_down)

    @property
    def empty(self) -> bool:
        """Whether nothing is known of it any more."""
        return not (self.info_revision or self.record_revision or self.heartbeat_revision or self.life_revision)


class ImageEntry(msgspec.Struct, frozen=True):
    """A wished image with what its node did; `revision` is the newest of both."""

    wish: ImageWish
    observation: ImageObservation | None
    revision: int
    wish_revision: int


class HeldNetwork(msgspec.Struct, frozen=True):
    """A network of the control plane, with the revision of its record."""

    record: NetworkRecord
    revision: int


class HeldImage:
    """A wished image as bytes."""

    __slots__ = ("committed_by", "node", "seen_raw", "seen_revision", "wish_raw", "wish_revision")

    def __init__(self, wish_raw: bytes, wish_revision: int) -> None:
        self.wish_raw, self.wish_revision = wish_raw, wish_revision
        indexed = decode(_IndexedImage, wish_raw)
        self.node = indexed.node
        self.committed_by = sys.intern(indexed.project_id) if indexed.committed else ""
        self.seen_raw, self.seen_revision = ABSENT, 0

    def entry(self) -> ImageEntry:
        """Decoded. Raises `Internal` when a record is damaged."""
        seen = decode(ImageObservation, self.seen_raw) if self.seen_revision else None
        revision = max(self.wish_revision, self.seen_revision)
        return ImageEntry(decode(ImageWish, self.wish_raw), seen, revision, self.wish_revision)
