# SPDX-License-Identifier: Apache-2.0
"""What every container's work needs, made once for a node."""

from dataclasses import dataclass

from zun.agent.engine import Engine
from zun.agent.files import Files
from zun.agent.guards import Guards
from zun.agent.images import Images
from zun.agent.journal import Journal
from zun.agent.known_store import KnownStore
from zun.agent.observing import Around
from zun.agent.options import AgentOptions
from zun.agent.plugs import Plugs
from zun.agent.probing.probing import Probing
from zun.agent.reporter import Reporter
from zun.agent.touch import Touch
from zun.base.clock import Clock
from zun.telemetry.meter import NO_METER, Meter
from zun.telemetry.tracing import NO_TRACER, Tracer


@dataclass(frozen=True)
class Tools:
    """The organs that containers share."""

    engine: Engine
    images: Images
    files: Files
    journal: Journal
    reporter: Reporter
    around: Around
    clock: Clock
    options: AgentOptions
    touch: Touch
    guards: Guards
    known_store: KnownStore
    plugs: Plugs
    probing: Probing
    meter: Meter = NO_METER
    tracer: Tracer = NO_TRACER
