# SPDX-License-Identifier: Apache-2.0
"""What the store holds, by writer (docs/architecture.md §3).

*Wish* records are written by services, *place* records by the leading controller, *observations* by the node's agent.
Nobody writes another's record. Times are seconds since the epoch, sizes as their names say.
"""

from enum import StrEnum
from typing import Annotated, Any

import msgspec

from zun.model.attachments import Attachment, PublishedPort
from zun.model.children import Child, RecordKind
from zun.model.children import ImageSource as ImageSource  # noqa: PLC0414 - likewise
from zun.model.container import ContainerSpec
from zun.model.moving import Leaving, Resume
from zun.model.networks import NetworkInfo as NetworkInfo  # noqa: PLC0414 - a part of these records, wherever it is declared
from zun.model.parts import NetRequest
from zun.model.quota import Limits as Limits  # noqa: PLC0414 - likewise
from zun.model.quota import Usage as Usage  # noqa: PLC0414 - likewise

MAX_PENDING_INTENTS = 16
"""More intents than this may not wait for a node; the next is refused with 409."""

Instant = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
"""A time that a node tells, up to the year 9999: a node is not believed what no calendar can show."""

Number = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""A number that a node tells; larger ones survive neither JSON readers nor the engine's own words."""


class Verb(StrEnum):
    """What an intent asks of a node."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    KILL = "kill"
    REBUILD = "rebuild"
    RESIZE = "resize_container"
    COMMIT = "commit"
    NETWORK_ATTACH = "network_attach"
    NETWORK_DETACH = "network_detach"
    DELETE = "delete"


NETWORK_VERBS = frozenset({Verb.NETWORK_ATTACH, Verb.NETWORK_DETACH})
"""On networks of the service they wait for the leader, who gives addresses."""

REPEATABLE = frozenset(Verb) - {Verb.KILL, Verb.COMMIT}
"""Verbs that may run again after a crash; the others end `Interrupted`."""


class Intent(msgspec.Struct, omit_defaults=True, frozen=True):
    """One numbered wish for something to be done once. Only the fields that its verb needs are set."""

    n: int
    verb: Verb
    request_id: str
    at: float
    timeout_seconds: int | None = None  # stop, reboot, delete (with stop); None: as long as the node gives
    signal: str | None = None  # kill: canonical name, e.g. SIGHUP
    force: bool = False  # delete
    stop: bool = False  # delete: stop first
    run: bool = False  # rebuild: it ran when the request came, so start it again
    cpu: float | None = None  # resize
    memory: int | None = None  # resize, MiB
    cpu_before: float | None = None  # resize: what to go back to when it cannot be had; None in a resize that goes back
    memory_before: int | None = None
    network: str | None = None
    network_id: str = ""  # of one of the service
    fixed_ip: str | None = None
    repository: str | None = None  # commit
    tag: str | None = None
    image_uuid: str | None = None
    traceparent: str = ""  # the request's place in a trace, when somebody follows it


class ContainerRecord(msgspec.Struct, omit_defaults=True):
    """The wish (`v/c/<uuid>`). `seq` is the number of the last intent; `intents` holds those not yet known to be done.

    A capsule has `children`; its own spec says what they take together, and how they are called and placed as one; `grace_seconds` is what they
    get to end in when it is deleted (None: what the node gives).
    """

    uuid: str
    project_id: str
    user_id: str
    spec: ContainerSpec
    created_at: float
    updated_at: float
    seq: int = 0
    intents: list[Intent] = []
    registry_id: str | None = None
    image_source: ImageSource | None = None
    names: list[str] = []  # keys of unique names it claims
    files: int = 0  # how many injected files are staged or sealed for it
    kind: RecordKind = RecordKind.CONTAINER
    children: list[Child] = []
    annotations: dict[str, str] = {}
    grace_seconds: int | None = None
    v: int = 1


class PlaceFailure(msgspec.Struct, omit_defaults=True, frozen=True):
    """Why no node could be found: `reason` for the user in one line, `detail` in words with counts per reason."""

    reason: str
    detail: str
    at: float
    seq: int


class Claim(msgspec.Struct, omit_defaults=True, frozen=True):
    """Resources taken on a node. `millicpus` is ceil(1000 × cpu); `cpuset` is set for dedicated containers ("2,3")."""

    millicpus: int = 0
    memory_mib: int = 0
    disk_gib: int = 0
    cpuset: str | None = None


class Place(msgspec.Struct, omit_defaults=True):
    """Where it is (`v/p/<uuid>`). `node` is "" when nothing fitted; then `failure` says why, as it does when no node can have one that is leaving.

    `claim` is what the node may use. `resize_done` is the last resize intent the leader decided; refused ones are in
    `resize_refused` by number, with the reason. `resume`: it was elsewhere before. `heal_delay_seconds`: after so long without its node it may
    be placed elsewhere (None: never); `guarded`: its first inbox entry made the node promise to stop it by itself before that.
    `attachments`: what it is plugged into by zun-cni; None: its engine plugs it in. `networks_done` is the last change of these that the leader
    decided, `networks_refused` tells why not, `detached` which claims are given back once the node has carried out that intent.
    `published`: the ports of its node that lead to it; without a node, those that the next one has to have free.
    """

    uuid: str
    node: str
    generation: int
    at: float
    claim: Claim = Claim()
    resize_done: int = 0
    resize_refused: dict[int, str] = {}
    addresses: list[str] = []  # store keys of what it alone has: addresses, ports of its node
    attachments: list[Attachment] | None = None
    networks_done: int = 0
    networks_refused: dict[int, str] = {}
    detached: dict[int, list[str]] = {}
    published: list[PublishedPort] = []
    failure: PlaceFailure | None = None
    why: str = ""
    leaving: Leaving | None = None
    resume: Resume | None = None
    heal_delay_seconds: float | None = None
    guarded: bool = False
    v: int = 1


class SeenState(StrEnum):
    """What the node says the container is."""

    ABSENT = "absent"  # nothing made yet
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"
    RESTARTING = "restarting"  # ended; waits for its next start under the restart policy
    DEAD = "dead"  # the engine could not remove it
    MISSING = "missing"  # it was there and somebody removed it behind our back
    GONE = "gone"  # removed as wished
    UNKNOWN = "unknown"  # the engine does not answer or says something odd


class Address(msgspec.Struct, omit_defaults=True, frozen=True):
    """An address a container has on a network."""

    network: str
    addr: str
    version: Number
    port: str = ""
    subnet_id: str = ""
    preserve_on_delete: bool = False


class Observation(msgspec.Struct, omit_defaults=True):
    """What the node sees (`v/out/<node>/s/<uuid>`). `error` is the failure of the last create, start, rebuild or delete,
    empty once one of them succeeds. `doing` is the intent in work (0: none), `pulling` whether it fetches its image. `guarded`: the node
    stops it by itself when it is out of touch for too long; `ran`: it was to run when it was removed for another node; `networks`: those it is on,
    when they are not the wish's. Of a capsule, state and addresses are its sandbox's, and `children` what is seen of its containers."""

    uuid: str
    generation: Number
    state: SeenState
    intent_done: Number = 0
    doing: Number = 0
    pulling: bool = False
    runtime_id: str = ""
    exit_code: Number | None = None
    reason: str = ""
    error: str = ""
    created_at: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    health: str | None = None
    restarts: Number = 0
    addresses: list[Address] = []
    ports: list[Number] = []
    image_command: list[str] | None = None
    image_entrypoint: list[str] | None = None
    image_workdir: str | None = None
    guarded: bool = False
    ran: bool = False
    networks: list[NetRequest] | None = None
    children: "list[Observation]" = []
    at: Instant = 0.0
    v: int = 1


class ActionEvent(msgspec.Struct, omit_defaults=True, frozen=True):
    """A step of an action; `result` is `Success`, `Error` or `Interrupted`, None while it runs."""

    event: str
    start_time: Instant
    finish_time: Instant | None = None
    result: str | None = None
    detail: str | None = None


class ActionRecord(msgspec.Struct, omit_defaults=True):
    """A line of history (`v/a/<uuid>/<request>`), written when the request is accepted.

    The node's part lies in `ActionResult` until the container is gone; then the leader copies it here
    and sets `expires_at`.
    """

    action: str
    request_id: str
    container_uuid: str
    project_id: str
    user_id: str
    start_time: float
    n: int = 0
    finish_time: float | None = None
    message: str | None = None
    events: list[ActionEvent] = []
    expires_at: float | None = None
    v: int = 1


class ActionResult(msgspec.Struct, omit_defaults=True):
    """What the node did for an action (`v/out/<node>/e/<uuid>/<request>`). `message` is None on success, else the reason.

    `error_code` is the wire code and `error_status` the HTTP status of the failure, so that a synchronous call can
    answer with it. `result` holds what the action produced (e.g. a committed image's id).
    """

    request_id: str
    n: Number
    start_time: Instant
    finish_time: Instant | None = None
    message: str | None = None
    error_code: str = ""
    error_status: Number = 0
    result: dict[str, Any] | None = None
    events: list[ActionEvent] = []
    v: int = 1


class NodeInfo(msgspec.Struct, omit_defaults=True):
    """A node's own account of itself (`v/out/<node>/info`), rewritten about every minute and when it changes.

    `millicpus`, `memory_mib`, `disk_gib` are what containers may use in all (after reserve and over-commit). `stream_address` is where
    API servers reach its live things (host:port); "" in an installation of one process. `version` is the agent's, `state_free_mib` the room for
    its state directory, `publish_address` where the node publishes ports of containers ("": nowhere). `strays` are containers that it has and the store forgot when it was
    restored, some of them by uuid.
    """

    node: str
    uuid: str
    boot_id: str
    started_at: Instant
    at: Instant
    reports: Number
    cpus: Number
    memory_total_mib: Number
    disk_total_gib: Number
    millicpus: Number
    memory_mib: Number
    disk_gib: Number
    architecture: str = ""
    os_type: str = ""
    os: str = ""
    kernel_version: str = ""
    engine: str = ""
    engine_version: str = ""
    labels: dict[str, str] = {}
    runtimes: list[str] = []
    default_runtime: str = ""
    capabilities: list[str] = []
    networks: list[NetworkInfo] = []
    dedicated_cpus: list[Number] = []
    shared_cpus: list[Number] = []
    disk_quota_supported: bool = False
    stream_address: str = ""
    publish_address: str = ""
    certificate_expires_at: Instant | None = None
    version: str = ""
    state_free_mib: Number | None = None
    strays: Number = 0
    named_strays: list[str] = []
    v: int = 1


class NodeRecord(msgspec.Struct, omit_defaults=True):
    """What operators and the service say of a node (`v/node/<node>`). `number` is the integer id old clients print."""

    node: str
    number: int
    created_at: float
    updated_at: float | None = None
    zone: str = "nova"
    disabled: bool = False
    disabled_reason: str | None = None
    forced_down: bool = False
    draining: bool = False
    public_key: str = ""
    user: str = ""  # of a shared store: who may act for the node
    v: int = 1


class Inbox(msgspec.Struct, omit_defaults=True):
    """What a node is to make true of one container (`in/<node>/c/<uuid>`). `absent`: it is to be gone from there, whatever the intents say.
    `attachments`: what zun-cni plugs it into; None: the engine does, and publishes what is `published`. `refused`: why the leader refused an intent, which fails with these words."""

    uuid: str
    generation: int
    project_id: str
    spec: ContainerSpec
    claim: Claim
    seq: int
    intents: list[Intent]
    image_source: ImageSource | None = None
    files: int = 0
    placed_at: float = 0.0
    resume: Resume | None = None
    heal_delay_seconds: float | None = None
    attachments: list[Attachment] | None = None
    published: list[PublishedPort] = []
    refused: dict[int, str] = {}
    absent: bool = False
    kind: RecordKind = RecordKind.CONTAINER
    children: list[Child] = []
    v: int = 1


class ImageWish(msgspec.Struct, omit_defaults=True):
    """An image somebody wants on a node (`v/i/<uuid>`; the same bytes lie in the node's inbox, `in/<node>/i/<uuid>`)."""

    uuid: str
    project_id: str
    user_id: str
    node: str
    repo: str
    tag: str
    created_at: float
    source: ImageSource
    absent: bool = False
    committed: bool = False  # it comes from a commit: nothing to pull
    request_id: str = ""  # who asked last
    v: int = 1


class ImageObservation(msgspec.Struct, omit_defaults=True):
    """What the node did with a wished image (`v/out/<node>/i/<uuid>`); `state` is pulling, ready, error or gone."""

    uuid: str
    state: str
    image_id: str = ""
    size: Number = 0  # bytes
    error: str = ""
    progress: str = ""
    at: Instant = 0.0
    v: int = 1


class NameClaim(msgspec.Struct, frozen=True):
    """Who holds a unique name, an address or a port of a node."""

    uuid: str
    v: int = 1
