# SPDX-License-Identifier: Apache-2.0
"""What an agent knows of a container that nobody could tell it again: the journal holds it, the planner decides by it."""

from collections.abc import Sequence

import msgspec

from zun.model.children import RecordKind
from zun.model.container import NetRequest
from zun.model.moving import Resume
from zun.model.records import ActionResult, Inbox, Intent, Observation, SeenState

ALIVE = frozenset({SeenState.RUNNING, SeenState.PAUSED, SeenState.RESTARTING})
"""A container in one of these runs, as far as its owner is concerned."""


class Memory(msgspec.Struct, omit_defaults=True):
    """One container on this node.

    `begun` is the intent that was written down before it was acted upon and has not ended yet.
    """

    observation: Observation
    begun: Intent | None = None
    ran: bool = False  # it ran when it was last seen
    user_stopped: bool = False  # its user stopped it and did not start it again
    boot_id: str = ""  # of the machine, when the container was last seen
    attempts: int = 0  # restarts since it last ran well
    heals: int = 0
    healed_at: float = 0.0
    due: float | None = None  # when the next restart, healing or removal is to happen (seconds since the epoch)
    networks: list[NetRequest] | None = None  # None: those of the spec
    open: ActionResult | None = None  # of a request whose later intents are not yet carried out
    results: list[ActionResult] = []  # finished, not yet known to have arrived
    resume: Resume | None = None  # it was on another node and is not made here yet
    moved_seq: int = 0  # intents up to this one may have been begun on another node
    guarded: bool = (
        False  # the node stops it when out of touch for too long; once so, so for ever: the control plane relies on it
    )
    fenced: bool = False  # it was stopped for that reason and is to run again
    pid: int = 0  # of its process, as the engine told last
    grace_until: float | None = None  # of a capsule that is deleted: what runs of it then is killed
    capsule: bool = False  # it is a capsule, and these are its containers, in the order of its wish
    children: "list[Memory]" = []

    @property
    def uuid(self) -> str:
        """The container."""
        return self.observation.uuid

    @property
    def handle(self) -> str:
        """The engine's id of its object, "" when there is none."""
        return self.observation.runtime_id

    def become(self, other: "Memory") -> None:
        """Be what `other` is; who holds this one sees the change."""
        for name in msgspec.structs.fields(self):
            setattr(self, name.name, getattr(other, name.name))

    def copy(self) -> "Memory":
        """One that does not change when this one does."""
        return msgspec.structs.replace(
            self,
            observation=copy_observation(self.observation),
            results=list(self.results),
            children=[child.copy() for child in self.children],
        )


def fresh(uuid: str, generation: int) -> Memory:
    """What is known of a container nobody has made yet."""
    return Memory(Observation(uuid, generation, SeenState.ABSENT))


def fresh_for(wanted: Inbox) -> Memory:
    """The same for what the inbox wishes: one that was on another node goes on from there."""
    memory = fresh(wanted.uuid, wanted.generation)
    resume = wanted.resume
    memory.capsule = wanted.kind is RecordKind.CAPSULE
    memory.children = [fresh(child.uuid, wanted.generation) for child in wanted.children]
    if resume is not None:
        memory.resume, memory.moved_seq, memory.networks = resume, resume.seq, resume.networks
        memory.observation.intent_done, memory.observation.networks = resume.intent_done, resume.networks
    return memory


def fresh_with(uuid: str, wanted: Inbox | None, generations: Sequence[int]) -> Memory:
    """The same when the engine has objects of these generations: what the inbox wishes may be one of them, or is yet to be made."""
    if wanted is not None and (not generations or wanted.generation in generations):
        return fresh_for(wanted)
    return fresh(uuid, max(generations, default=0))


def take_note_of_guard(memory: Memory, wanted: Inbox) -> bool:
    """Whether the container became one that the node guards."""
    if memory.guarded or wanted.absent or not wanted.spec.auto_heal or wanted.heal_delay_seconds is None:
        return False
    memory.guarded = memory.observation.guarded = True
    return True


def copy_observation(observation: Observation) -> Observation:
    """A copy; the lists in an observation are replaced, never changed, so they may be shared."""
    return msgspec.structs.replace(observation)
