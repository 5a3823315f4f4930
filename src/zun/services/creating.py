# SPDX-License-Identifier: Apache-2.0
"""From a create request to the records that will stand for it: everything that can be refused is refused here."""

import random
from collections.abc import Iterable

import msgspec

from zun.base.clock import Clock
from zun.base.ids import new_uuid
from zun.base.request_scope import current
from zun.base.sealing import MasterKey
from zun.model.caller import Caller, RequestContext
from zun.model.container import ContainerSpec, NetRequest
from zun.model.errors import Invalid, NotFound
from zun.model.records import ContainerRecord, Intent, Verb
from zun.model.sandboxes import NO_SANDBOXES, Sandboxes
from zun.policy.enforcer import Policy
from zun.services import own_networks, requirements
from zun.services.admitting import Accept
from zun.services.image_sources import ImageSources
from zun.services.naming import claimed_names, random_name
from zun.services.nodes import find_node
from zun.services.options import ContainerOptions
from zun.services.publishing import Publishable
from zun.store import codec
from zun.store.view import View

MAX_SPEC_BYTES = 64 * 1024
MAX_FILES = 64
RESERVED_LABELS = "io.zun."


class Creating:
    """Checks create requests against policy and state, and writes down what they ask for."""

    def __init__(
        self,
        view: View,
        policy: Policy,
        *,
        clock: Clock,
        master_key: MasterKey,
        options: ContainerOptions,
        sandboxes: Sandboxes = NO_SANDBOXES,
        rng: random.Random | None = None,
    ) -> None:
        self._view = view
        self._policy = policy
        self._clock = clock
        self._master_key = master_key
        self._options = options
        self._publishable = Publishable(policy, options)
        self._sandboxes = sandboxes
        self._images = ImageSources(view, master_key)
        self._rng = rng or random.Random()  # noqa: S311 - names need not be unguessable

    def prepare(
        self, ctx: RequestContext, spec: ContainerSpec, files: dict[int, bytes], *, run: bool, given: frozenset[str]
    ) -> Accept:
        """What is to be recorded. The view must be fresh. Raises what the wire contract says; nothing is written yet."""
        started = self._clock.now()
        caller = ctx.caller
        self._authorize(caller, spec, given)
        self._publishable.check(caller, spec.published_ports, "'published_ports'")
        spec = self._completed(caller, spec, given)
        _check_plain(spec, files)
        requirements.check(spec, self._view)
        spec = self._with_known_host(spec)
        spec.nets = own_networks.resolve(spec.nets, self._view, caller.project_id)
        image = self._images.resolve(caller.project_id, spec.image, spec.registry, spec.image_pull_policy)
        size = len(codec.encode(spec))
        if size > MAX_SPEC_BYTES:
            raise _too_large(f"The description of a container may have {MAX_SPEC_BYTES} bytes, this one has {size}.")
        now = self._clock.now()
        verbs = (Verb.CREATE, Verb.START) if run else (Verb.CREATE,)
        record = ContainerRecord(
            uuid=new_uuid(),
            project_id=caller.project_id,
            user_id=caller.user_id,
            spec=spec,
            created_at=now,
            updated_at=now,
            seq=len(verbs),
            intents=[
                Intent(n, verb, ctx.request_id, now, traceparent=current().traceparent)
                for n, verb in enumerate(verbs, 1)
            ],
            registry_id=image.registry_id,
            image_source=image.source,
            names=claimed_names(self._options, caller.project_id, spec.name),
            files=len(files),
        )
        secrets = dict(files) if image.login is None else {**files, len(files): image.login}
        staged = {number: self._master_key.encrypt(secret) for number, secret in secrets.items()}
        return Accept(record, staged, ctx.request_id, started)

    def _authorize(self, caller: Caller, spec: ContainerSpec, given: frozenset[str]) -> None:
        """The policy of fields rests on their presence, but saying that nothing special is wanted needs no right."""
        self._policy.authorize(caller, "container:create", project_id=caller.project_id)
        for field, rule in (
            ("runtime", "container:create:runtime"),
            ("host", "container:create:requested_destination"),
            ("image_pull_policy", "container:create:image_pull_policy"),
        ):
            if field in given:
                self._policy.authorize(caller, rule, project_id=caller.project_id)
        if spec.privileged:
            self._policy.authorize(caller, "container:create:privileged", project_id=caller.project_id)

    def _completed(self, caller: Caller, spec: ContainerSpec, given: frozenset[str]) -> ContainerSpec:
        """With the operator's defaults for what the request leaves open. Raises `Denied` for what his demands forbid."""
        options = self._options
        runtime = self._sandboxes.runtime_for(caller.project_id, spec.runtime, privileged=spec.privileged)
        return msgspec.structs.replace(
            spec,
            name=spec.name or random_name(self._rng),
            runtime=runtime,
            cpu=spec.cpu if "cpu" in given else options.default_cpu,
            memory=spec.memory if "memory" in given else options.default_memory,
            disk=spec.disk if "disk" in given else options.default_disk,
            nets=spec.nets or ([NetRequest(options.default_network)] if options.default_network else []),
        )

    def _with_known_host(self, spec: ContainerSpec) -> ContainerSpec:
        if spec.host is None:
            return spec
        node = find_node(self._view, spec.host)
        if node is None:
            raise NotFound(f"Requested host {spec.host} could not be found.", code="requested-host-not-found")
        return msgspec.structs.replace(spec, host=node.name)


def _check_plain(spec: ContainerSpec, files: dict[int, bytes]) -> None:
    """What is wrong whatever the state is."""
    refuse_reserved(spec.labels)
    if spec.auto_remove and spec.restart_policy is not None and spec.restart_policy.name != "no":
        raise Invalid("'auto_remove' and 'restart_policy' exclude each other; give one.")
    if len(files) > MAX_FILES:
        raise _too_large(f"At most {MAX_FILES} files can be injected, not {len(files)}; put them into an image.")


def refuse_reserved(labels: Iterable[str]) -> None:
    """Raises `Invalid` for labels by which we know our own."""
    reserved = sorted(label for label in labels if label.startswith(RESERVED_LABELS))
    if reserved:
        raise Invalid(f"Labels that begin with '{RESERVED_LABELS}' are reserved: {', '.join(reserved)}. Rename them.")


def _too_large(message: str) -> Invalid:
    return Invalid(message, code="too-large", status=413)
