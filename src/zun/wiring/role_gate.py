# SPDX-License-Identifier: Apache-2.0
"""`zund gate`: where nodes reach the store; any number of them."""

from contextlib import AsyncExitStack
from pathlib import Path

from zun.base.clock import SystemClock
from zun.config import Settings
from zun.gate.calls import Calls
from zun.gate.leases import Leases
from zun.gate.roster import Roster
from zun.gate.server import GateServer
from zun.gate.visitors import Visitors
from zun.model.errors import NotFound
from zun.nodestreams.credentials import Credentials, TlsFiles
from zun.pki.facts import certificate_facts
from zun.services.processes import Announcement
from zun.telemetry.metrics import GATE
from zun.wiring.announcing import describing
from zun.wiring.basis import prepare
from zun.wiring.life import House
from zun.wiring.measuring import open_meter
from zun.wiring.stores import open_store, require_shared_store


async def build(settings: Settings, stack: AsyncExitStack) -> House:
    """A gate. Raises `ZunError` when a part cannot be had."""
    require_shared_store(settings, "gate")
    clock = SystemClock()
    prepare(settings.state_dir)
    files = _files(settings)
    try:
        credentials = Credentials(files, clock)
    except NotFound as error:
        raise NotFound(
            f"{error.message} The gate needs a certificate that names this machine: `zund ca issue control --host …`."
        ) from error
    meter = await open_meter(settings, stack, GATE)
    store = await stack.enter_async_context(open_store(settings, clock, meter=meter))
    roster = Roster(store, clock)
    leases, visitors = Leases(store), Visitors(roster, clock, settings.gate.most_calls)

    def gone(user: str) -> None:
        visitors.send_away(user)
        leases.forget(user)

    roster.gone = gone
    # The same at all gates of an installation, and another elsewhere: clients look whether they are still where they were.
    cluster_id = int(certificate_facts(files.authority).fingerprint[:15], 16)
    server = GateServer(Calls(store, leases, cluster_id), visitors, credentials, settings.gate, meter=meter)
    announcement = Announcement(store, clock, describing(settings, "gate", clock))
    return House(
        greeting=f"zund gate is ready on {server.address}",
        stages=[{"gate": server.run, "announcement": announcement.run}, {"roster": roster.run}],
        ready=roster.ready,
    )


def _files(settings: Settings) -> TlsFiles:
    """The named files, or else those that `zund ca` wrote."""
    given, own = settings.gate, settings.state_dir
    return TlsFiles(
        Path(given.ca_file or own / "ca.pem"),
        Path(given.cert_file or own / "control.pem"),
        Path(given.key_file or own / "control.key"),
    )
