# SPDX-License-Identifier: Apache-2.0
"""From a capsule's template to the record that will stand for it: everything that can be refused is refused here."""

import msgspec

from zun.base.clock import Clock
from zun.base.ids import new_uuid
from zun.base.request_scope import current
from zun.model.caller import RequestContext
from zun.model.capsule import together
from zun.model.capsule_template import CapsuleRequest, ChildRequest
from zun.model.children import Child, RecordKind
from zun.model.container import ContainerSpec, NetRequest
from zun.model.errors import Invalid
from zun.model.records import ContainerRecord, Intent, Verb
from zun.model.sandboxes import NO_SANDBOXES, Sandboxes
from zun.policy.enforcer import Policy
from zun.services import own_networks, requirements
from zun.services.admitting import Accept
from zun.services.creating import refuse_reserved
from zun.services.image_sources import ImageSources
from zun.services.naming import capsule_names, child_name
from zun.services.options import ContainerOptions
from zun.services.publishing import Publishable
from zun.store import codec
from zun.store.view import View

MAX_RECORD_BYTES = 256 * 1024


class Composing:
    """Checks capsules against policy and state, and writes down what they ask for."""

    def __init__(
        self,
        view: View,
        policy: Policy,
        *,
        clock: Clock,
        images: ImageSources,
        options: ContainerOptions,
        sandboxes: Sandboxes = NO_SANDBOXES,
    ) -> None:
        self._view = view
        self._policy = policy
        self._clock = clock
        self._images = images
        self._options = options
        self._publishable = Publishable(policy, options)
        self._sandboxes = sandboxes

    def prepare(self, ctx: RequestContext, request: CapsuleRequest) -> Accept:
        """What is to be recorded. The view must be fresh. Raises what the wire contract says; nothing is written yet."""
        started, caller, uuid = self._clock.now(), ctx.caller, new_uuid()
        self._policy.authorize(caller, "capsule:create", project_id=caller.project_id)
        refuse_reserved(request.labels)
        for number, one in enumerate(request.containers):
            where = f"The ports of 'template.spec.containers[{number}]'"
            self._publishable.check(caller, one.spec.published_ports, where)
        asked = [*request.init_containers, *request.containers]
        inits = len(request.init_containers)
        children = [
            self._child(ctx, one, child_name(request.name or uuid, number), init=number < inits)
            for number, one in enumerate(asked)
        ]
        spec = self._spec(request, children)
        self._shut_in(caller.project_id, spec, children)
        requirements.check_capsule(spec, children, self._view)
        spec.nets = own_networks.resolve(spec.nets, self._view, caller.project_id)
        now = self._clock.now()
        record = ContainerRecord(
            uuid=uuid,
            project_id=caller.project_id,
            user_id=caller.user_id,
            spec=spec,
            created_at=now,
            updated_at=now,
            seq=1,
            intents=[Intent(1, Verb.CREATE, ctx.request_id, now, traceparent=current().traceparent)],
            names=capsule_names(self._options, caller.project_id, request.name),
            kind=RecordKind.CAPSULE,
            children=children,
            annotations=request.annotations,
            grace_seconds=request.grace_seconds,
        )
        size = len(codec.encode(record))
        if size > MAX_RECORD_BYTES:
            raise Invalid(
                f"The description of a capsule may have {MAX_RECORD_BYTES} bytes, this one has {size}.",
                code="too-large",
                status=413,
            )
        return Accept(record, {}, ctx.request_id, started)

    def _child(self, ctx: RequestContext, asked: ChildRequest, name: str, *, init: bool) -> Child:
        """A pull policy counts for those who may choose one, and is passed over for others, as clients expect. Rights over the node are not
        passed over: who may not have them is refused with `Denied`."""
        project = ctx.caller.project_id
        if asked.spec.privileged:
            self._policy.authorize(ctx.caller, "container:create:privileged", project_id=project)
        policy = asked.spec.image_pull_policy
        if not self._policy.allows(ctx.caller, "container:create:image_pull_policy", project_id=project):
            policy = None
        spec = msgspec.structs.replace(asked.spec, name=name, image_pull_policy=policy)
        source = self._images.resolve(project, spec.image, None, policy).source
        return Child(
            new_uuid(),
            spec,
            source,
            init=init,
            given_name=asked.given_name,
            cpu_limit=asked.resources.cpu_limit,
            memory_limit=asked.resources.memory_limit,
            probes=asked.probes,
        )

    def _shut_in(self, project_id: str, spec: ContainerSpec, children: list[Child]) -> None:
        """A template names no runtime; where the project demands a sandbox all of the capsule runs under one. Raises `Denied`."""
        for one in (spec, *(child.spec for child in children)):
            one.runtime = self._sandboxes.runtime_for(project_id, one.runtime, privileged=one.privileged)

    def _spec(self, request: CapsuleRequest, children: list[Child]) -> ContainerSpec:
        """What the capsule is as one: it has no image of its own."""
        cpu, memory = together(children)
        ports = dict.fromkeys(port for child in children if not child.init for port in child.spec.exposed_ports)
        return ContainerSpec(
            image="",
            name=request.name,
            labels=request.labels,
            cpu=cpu,
            memory=memory,
            restart_policy=request.restart_policy,
            availability_zone=request.availability_zone,
            nets=[NetRequest(self._options.default_network)] if self._options.default_network else [],
            exposed_ports=list(ports),
            published_ports=[port for child in children for port in child.spec.published_ports],
        )
