# SPDX-License-Identifier: Apache-2.0
"""What may be done to a container that exists: start, stop, kill, rebuild, commit, networks, delete.

Each call checks policy, then the state table, then writes one intent. None waits for the node.
"""

import msgspec

from zun.drivers.runtime.types import Capability
from zun.model.caller import RequestContext
from zun.model.errors import Conflict, Invalid, Unsupported
from zun.model.records import ImageSource, ImageWish, Intent, Verb
from zun.model.states import Action, Status
from zun.policy.enforcer import Policy
from zun.services import committed, networking, own_attaching, requirements, signals
from zun.services.image_sources import ImageSources
from zun.services.intents import Change, Intents
from zun.services.networking import NetworkArguments
from zun.services.options import ContainerOptions
from zun.store import codec, keys
from zun.store.interface import Put, unchanged
from zun.store.view import ContainerEntry, View

SIMPLE: dict[Verb, Action] = {
    Verb.START: Action.START,
    Verb.STOP: Action.STOP,
    Verb.REBOOT: Action.REBOOT,
    Verb.PAUSE: Action.PAUSE,
    Verb.UNPAUSE: Action.UNPAUSE,
    Verb.KILL: Action.KILL,
    Verb.REBUILD: Action.REBUILD,
}
"""Verbs that the state table rules; attaching and detaching networks is possible in (almost) any state."""

DELETE_STOP_SECONDS = 10
"""How long a container that is deleted with `stop` may take to end."""


class ActionArguments(msgspec.Struct, frozen=True, kw_only=True):
    """What an action's request may name; each verb looks at its own."""

    timeout_seconds: int | None = None  # stop, reboot
    signal: str | None = None  # kill, in any spelling
    image: str | None = None  # rebuild
    image_driver: str | None = None  # rebuild
    network: str | None = None  # attach, detach
    port: str | None = None  # attach, detach
    fixed_ip: str | None = None  # attach


class Actions:
    """Accepts actions."""

    def __init__(
        self, view: View, policy: Policy, intents: Intents, images: ImageSources, options: ContainerOptions
    ) -> None:
        self._view = view
        self._policy = policy
        self._intents = intents
        self._images = images
        self._options = options

    async def act(self, ctx: RequestContext, entry: ContainerEntry, verb: Verb, asked: ActionArguments) -> None:
        """Accept `verb`. Raises `Denied`, `Conflict` (state, too many waiting), `Invalid`, `NotFound`, `Unsupported`."""
        self._policy.authorize(ctx.caller, f"container:{verb.value}", project_id=entry.project_id)
        signal = signals.canonical(asked.signal) if verb is Verb.KILL else None
        _check_timeout(asked.timeout_seconds)

        async def decide(change: Change) -> None:
            if verb in SIMPLE:
                change.require(SIMPLE[verb])
            if verb in {Verb.PAUSE, Verb.UNPAUSE}:
                self._require(change, Capability.PAUSE, "pause containers")
            intent = Intent(0, verb, ctx.request_id, change.now, timeout_seconds=asked.timeout_seconds, signal=signal)
            if verb is Verb.REBUILD:
                intent = self._rebuild(change, intent, asked)
            if verb in {Verb.NETWORK_ATTACH, Verb.NETWORK_DETACH}:
                intent = self._network(change, intent, asked)
            change.intend(ctx, intent)

        await self._intents.change(entry.uuid, decide)

    async def commit(self, ctx: RequestContext, entry: ContainerEntry, repository: str, tag: str | None) -> str:
        """Have an image made of the container; returns the image's uuid at once.

        The image is the project's own: nobody else sees it, whatever its name. Committing to a name again replaces the image.
        """
        self._policy.authorize(ctx.caller, "container:commit", project_id=entry.project_id)
        reference = committed.own_reference(entry.project_id, repository, tag)

        async def decide(change: Change) -> str:
            change.require(Action.COMMIT)
            self._require(change, Capability.COMMIT, "commit containers")
            wish = ImageWish(
                uuid=committed.image_uuid(entry.project_id, change.node, reference),
                project_id=entry.project_id,
                user_id=ctx.caller.user_id,
                node=change.node,
                repo=repository,
                tag=reference.tag or "",
                created_at=change.now,
                source=ImageSource(reference.canonical(), "never"),
                committed=True,
                request_id=ctx.request_id,
            )
            key = keys.image(wish.uuid)
            old, revision = self._view.raw(key)
            if old is not None and codec.decode(ImageWish, old).absent:
                raise Conflict(f"The old image {repository} is being removed; try again in a moment.")
            value = codec.encode(wish, over=old)
            change.compares.append(unchanged(key, revision))
            change.ops += [Put(key, value), Put(keys.image_inbox(wish.node, wish.uuid), value)]
            change.intend(
                ctx,
                Intent(
                    0,
                    Verb.COMMIT,
                    ctx.request_id,
                    change.now,
                    repository=reference.name,
                    tag=reference.tag,
                    image_uuid=wish.uuid,
                ),
            )
            return wish.uuid

        return await self._intents.change(entry.uuid, decide)

    async def delete(
        self, ctx: RequestContext, entry: ContainerEntry, *, force: bool, stop: bool, all_projects: bool
    ) -> None:
        """Accept a delete. A second one that asks for nothing stronger changes nothing."""
        self._policy.authorize(ctx.caller, "container:delete", project_id=entry.project_id)
        if all_projects:
            self._policy.authorize(ctx.caller, "container:delete_all_projects")
        if force:
            self._policy.authorize(ctx.caller, "container:delete_force", project_id=entry.project_id)
        action = Action.DELETE_AFTER_STOP if stop else Action.DELETE_FORCE if force else Action.DELETE

        async def decide(change: Change) -> None:
            change.require(action)
            weaker = [other for other in change.pending if other.verb is Verb.DELETE and not other.force and force]
            waiting = [other for other in change.pending if other.verb is Verb.DELETE]
            if waiting and len(waiting) > len(weaker):
                return
            change.intend(
                ctx,
                Intent(
                    0,
                    Verb.DELETE,
                    ctx.request_id,
                    change.now,
                    force=force,
                    stop=stop,
                    timeout_seconds=DELETE_STOP_SECONDS if stop else None,
                ),
            )

        await self._intents.change(entry.uuid, decide)

    def _rebuild(self, change: Change, intent: Intent, asked: ActionArguments) -> Intent:
        record = change.record
        if asked.image_driver not in {None, "", "None", "docker", "glance"}:
            raise Invalid(f"There is no image driver '{asked.image_driver}'; use 'docker'.", code="validation-error")
        if asked.image_driver == "glance":
            raise requirements.no_glance()
        if asked.image and asked.image != record.spec.image:
            self._require(change, Capability.CHANGE_IMAGE, "rebuild a container from another image")
            record.image_source = self._images.replace(record.project_id, asked.image, record.image_source)
            record.spec = msgspec.structs.replace(record.spec, image=asked.image)
        return msgspec.structs.replace(intent, run=change.derived.status is Status.RUNNING)

    def _network(self, change: Change, intent: Intent, asked: ActionArguments) -> Intent:
        self._require(change, Capability.NETWORKS, "attach and detach networks")
        wanted = NetworkArguments(asked.network, asked.port, asked.fixed_ip)
        if own_attaching.concerns(change, self._view):
            if intent.verb is Verb.NETWORK_DETACH:
                return own_attaching.detach(change, intent, wanted, self._view)
            return own_attaching.attach(change, intent, wanted, self._view, self._options)
        nodes = requirements.known_nodes(self._view)
        if intent.verb is Verb.NETWORK_DETACH:
            return msgspec.structs.replace(intent, network=networking.detach(change, wanted, nodes))
        network, fixed_ip = networking.attach(change, wanted, nodes, self._options)
        return msgspec.structs.replace(intent, network=network, fixed_ip=fixed_ip)

    def _require(self, change: Change, capability: Capability, what: str) -> None:
        """Raises `Unsupported` when the container's node cannot do it."""
        node = self._view.node(change.node)
        if node is not None and node.info is not None and capability.value not in node.info.capabilities:
            raise Unsupported(f"Host {change.node} cannot {what}: its engine does not support it.")


def _check_timeout(seconds: int | None) -> None:
    if seconds is not None and seconds < 0:
        raise Invalid(f"'timeout' must be 0 or more seconds, not {seconds}.")
