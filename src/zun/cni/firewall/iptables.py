# SPDX-License-Identifier: Apache-2.0
"""Beside Docker and others: where iptables drops what is forwarded unless somebody accepts it, our bridges are accepted.

A packet passes only if every filter of the machine lets it. Docker sets the policy of iptables' FORWARD to DROP, and keeps the chain
DOCKER-USER for rules of the machine's owner: that is where our two go, else into FORWARD itself. They accept whatever comes from or
goes to a bridge of ours; what may really pass has been decided before, in our own table. Nothing else of iptables is touched.
"""

import asyncio
import logging

from zun.cni.names import BRIDGE_PREFIX
from zun.model.errors import Internal, Timeout

_LOG = logging.getLogger(__name__)
_PROGRAMS = ("iptables", "ip6tables")
_SECONDS = 20.0
_USERS_CHAIN = "DOCKER-USER"
_ACCEPTED = (("-i", f"{BRIDGE_PREFIX}+"), ("-o", f"{BRIDGE_PREFIX}+"))


async def let_through() -> None:
    """See to it, for IPv4 and IPv6; without the programs nobody uses iptables here. Raises `Internal`, `Timeout`."""
    for program in _PROGRAMS:
        try:
            listed = await _run(program, "-S")
        except FileNotFoundError:
            continue
        except Internal as error:
            _LOG.warning("whether iptables drops what is forwarded cannot be seen: %s", error)
            continue
        for chain, rule in missing_rules(listed):
            _LOG.info("%s drops what is forwarded: %s is put before that", program, " ".join(rule))
            await _run(program, "-I", chain, *rule)


def missing_rules(listed: str) -> list[tuple[str, list[str]]]:
    """The rules to insert, each with its chain, into a filter table as `iptables -S` lists it. Pure."""
    lines = listed.splitlines()
    if f"-N {_USERS_CHAIN}" in lines:
        chain = _USERS_CHAIN
    elif "-P FORWARD DROP" in lines:
        chain = "FORWARD"
    else:
        return []
    return [
        (chain, [*match, "-j", "ACCEPT"])
        for match in _ACCEPTED
        if f"-A {chain} {' '.join(match)} -j ACCEPT" not in lines
    ]


async def _run(program: str, *arguments: str) -> str:
    command = (program, "--wait", *arguments)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(_SECONDS):
            told, complaint = await process.communicate()
    except TimeoutError as error:
        raise Timeout(
            f"`{' '.join(command)}` did not end within {_SECONDS:g} seconds; see who holds its lock."
        ) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Internal(f"`{' '.join(command)}` failed: {complaint.decode(errors='replace').strip()}")
    return told.decode(errors="replace")
