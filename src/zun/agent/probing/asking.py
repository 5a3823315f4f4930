# SPDX-License-Identifier: Apache-2.0
"""Asking once, whatever the way."""

from collections.abc import Awaitable, Callable

from zun.agent.options import AgentOptions
from zun.agent.probing import network
from zun.agent.probing.commands import Commands
from zun.agent.probing.judging import Answer, failed
from zun.agent.probing.subject import Subject
from zun.drivers.runtime.base import Streams
from zun.model.probes import Probe

Ask = Callable[[Subject, Probe], Awaitable[Answer]]
"""Asks a container once. Raises nothing; ends within the probe's timeout and what the engine may take."""


_NO_ADDRESS = failed("it has no address to be asked at")


def asker(streams: Streams, options: AgentOptions) -> Ask:
    """Asks by the engine's commands, and over the network."""
    commands = Commands(streams, at_once=options.parallel_checks, engine_seconds=options.engine_timeout_seconds)

    async def ask(subject: Subject, probe: Probe) -> Answer:
        if probe.command:
            return await commands.ask(subject.handle, probe.command, probe.timeout)
        address = subject.address()
        if not network.may_be_asked(address):
            return _NO_ADDRESS
        if probe.http is not None:
            return await network.get(address, probe.http, probe.timeout)
        return await network.connect(address, probe.tcp, probe.timeout)

    return ask
