# SPDX-License-Identifier: Apache-2.0
"""Nodes: whether they report, their clocks, their streams, their disks, and what they have that nobody knows. Pure."""

from collections.abc import Iterator

from zun.services.doctor.facts import Facts, NodeFacts
from zun.services.doctor.findings import Finding, Saying, duration, some
from zun.services.doctor.options import DoctorOptions

_NODES = Saying("nodes")


def check_nodes(facts: Facts, options: DoctorOptions) -> Iterator[Finding]:
    """All about the nodes; those of which there is nothing to say are counted."""
    if not facts.nodes:
        yield _NODES.warning("there is no node", "Let a machine join (`zunctl node token`), or start `zund compute`.")
        return
    well = 0
    for node in facts.nodes:
        found = [*_life(node, facts.at), *_reached(node), *_clock(node, options), *_disk(node, options), *_strays(node)]
        well += not found
        yield from found
    if well:
        yield _NODES.ok(f"{well} of {len(facts.nodes)} nodes report, are reached and have nothing to tell")


def _life(node: NodeFacts, at: float) -> Iterator[Finding]:
    name = f"node {node.name}"
    if not node.registered:
        yield _NODES.warning(
            f"{name} reports, but is not registered", "Restart its agent; or stop it, if the node was removed for good."
        )
    elif node.forced_down:
        yield _NODES.note(
            f"{name} was declared down", f"When it is well again: `zunctl node force-down --undo {node.name}`."
        )
    elif node.restarting:
        yield _NODES.note(f"the agent of {name} restarts and is waited for; its containers run")
    elif not node.alive:
        silent = f"since {duration(at - node.seen_at)}" if node.seen_at is not None else "and never did"
        yield _NODES.error(
            f"{name} does not report ({silent}); {_containers(node)} there may still run",
            "See whether machine and agent run (`systemctl status zun-compute` there) and reach the store. It goes on by itself when it is back; of "
            f"a machine that is gone for good say so: `zunctl node force-down {node.name}`.",
        )
    elif node.draining:
        yield _NODES.note(f"{name} is drained; {_containers(node)} left there")
    elif node.disabled:
        why = f" ({node.disabled_reason})" if node.disabled_reason else ""
        yield _NODES.note(f"{name} is disabled{why}: it gets no new containers")
    if node.alive and node.engine_error:
        yield _NODES.error(
            f"the engine of {name} does not answer: {node.engine_error}",
            "Start or restart the engine; the agent goes on by itself.",
        )


def _reached(node: NodeFacts) -> Iterator[Finding]:
    if node.streams and node.alive and not node.restarting and not node.forced_down:
        yield _NODES.error(
            f"API servers do not reach node {node.name} for logs and consoles: {node.streams}".rstrip("."),
            "Open the port of its [compute] stream_listen to API servers, or set [compute] stream_address; compare the certificates of both sides.",
        )


def _clock(node: NodeFacts, options: DoctorOptions) -> Iterator[Finding]:
    if node.ahead_seconds is None:
        return
    off = abs(node.ahead_seconds) - node.doubt_seconds
    if off > options.clock_skew_seconds:
        way = "ahead of" if node.ahead_seconds > 0 else "behind"
        yield _NODES.warning(
            f"the clock of node {node.name} is {abs(node.ahead_seconds):.1f} seconds {way} this API server's",
            "Let the machines set their clocks (chrony or systemd-timesyncd): certificates and times in histories depend on them.",
        )


def _disk(node: NodeFacts, options: DoctorOptions) -> Iterator[Finding]:
    if node.state_free_mib is not None and node.state_free_mib < options.state_free_mib:
        yield _NODES.warning(
            f"the state directory of node {node.name} has {node.state_free_mib} MiB of room",
            "Make room; without any, what is asked for there fails with that reason, while what runs goes on.",
        )


def _strays(node: NodeFacts) -> Iterator[Finding]:
    if node.strays:
        yield _NODES.warning(
            f"node {node.name} has {node.strays} containers that the restored store does not know: {some(node.named_strays)}",
            "They run on as they are. Look at them there (`docker ps -a --filter label=io.zun.uuid=UUID`), and remove those that nobody needs with "
            "`docker rm -f`; the node notices.",
        )


def _containers(node: NodeFacts) -> str:
    return f"{node.containers} container{'' if node.containers == 1 else 's'}"
