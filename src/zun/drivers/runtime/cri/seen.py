# SPDX-License-Identifier: Apache-2.0
"""What the engine shows, in our words. Pure, like its counterpart `request.py`."""

import json

from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri import labels
from zun.drivers.runtime.cri.handles import Identity
from zun.drivers.runtime.types import Seen
from zun.model.records import Address, SeenState

_NANO = 1_000_000_000
_STATES = {
    cri.CONTAINER_CREATED: SeenState.CREATED,
    cri.CONTAINER_RUNNING: SeenState.RUNNING,
    cri.CONTAINER_EXITED: SeenState.EXITED,
}
_NOT_FOUND, _NOT_STARTED = 127, 126
"""What shells answer for a program that is missing, or cannot be run; the engine says 128 to both."""


def never_ran(status: cri.ContainerStatus) -> bool:
    """Whether this attempt's program did not even begin, as far as the engine knows."""
    if status.state == cri.CONTAINER_EXITED:
        return status.reason == "StartError" or _is_unknown(status)
    return status.state in {cri.CONTAINER_CREATED, cri.CONTAINER_UNKNOWN}


def container(
    which: Identity, status: cri.ContainerStatus, sandbox: cri.PodSandboxStatus | None = None, *, pid: int = 0
) -> Seen:
    """A container of ours. `sandbox`, which is looked at for addresses, and `pid` are of one that runs.

    What failed to begin stays *created* with the reason, as long as no earlier attempt ran.
    """
    marks = status.annotations
    failed = status.state == cri.CONTAINER_EXITED and status.reason == "StartError"
    state = _STATES.get(status.state, SeenState.UNKNOWN)
    if failed and not marks.get(labels.RAN):
        state = SeenState.CREATED
    ended = state is SeenState.EXITED
    return Seen(
        handle=which.handle,
        uuid=which.uuid,
        generation=which.generation,
        state=state,
        exit_code=_exit_code(status, failed=failed) if ended else None,
        oom_killed=ended and status.reason == "OOMKilled",
        error=_sentence(status.message) if failed else "",
        created_at=int(marks.get(labels.CREATED_AT) or status.created_at) / _NANO,
        started_at=_moment(status.started_at),
        finished_at=_moment(status.finished_at) if ended else None,
        addresses=_addresses(marks.get(labels.NETWORK, ""), sandbox) if state is SeenState.RUNNING else (),
        ports=tuple(int(port) for port in marks.get(labels.PORTS, "").split(",") if port),
        image_id=marks.get(labels.IMAGE_ID, ""),
        pid=pid,
        capsule=status.labels.get(labels.CAPSULE, ""),
    )


def _is_unknown(status: cri.ContainerStatus) -> bool:
    """What an attempt becomes that was stopped when the engine knew nothing of it."""
    return status.reason == "Unknown" and not status.started_at


def sandbox_addresses(status: cri.PodSandboxStatus) -> list[str]:
    """The addresses of a sandbox, the first one first."""
    network = status.network
    return [address for address in (network.ip, *(more.ip for more in network.additional_ips)) if address]


def network_namespaces(told: cri.PodSandboxStatusResponse) -> list[str]:
    """Where a sandbox's network is, by what the engine runs it with; from a verbose status."""
    spec = json.loads(told.info.get("info") or "{}").get("runtimeSpec") or {}
    namespaces = (spec.get("linux") or {}).get("namespaces") or ()
    return [one["path"] for one in namespaces if one.get("type") == "network" and one.get("path")]


def pod_addresses(status: cri.PodSandboxStatus) -> tuple[Address, ...]:
    """The addresses of a capsule's sandbox, which knows its network."""
    return _addresses(status.annotations.get(labels.NETWORK, ""), status)


def _exit_code(status: cri.ContainerStatus, *, failed: bool) -> int:
    if not failed:
        return status.exit_code
    return _NOT_FOUND if "not found" in status.message or "no such file" in status.message else _NOT_STARTED


def _addresses(network: str, sandbox: cri.PodSandboxStatus | None) -> tuple[Address, ...]:
    """None of what the service plugged in, which is on no network of the engine's: the service knows them."""
    if sandbox is None or not network:
        return ()
    return tuple(
        Address(network=network, addr=address, version=6 if ":" in address else 4, port=sandbox.id)
        for address in sandbox_addresses(sandbox)
    )


def _moment(nanoseconds: int) -> float | None:
    return nanoseconds / _NANO if nanoseconds > 0 else None


def _sentence(text: str) -> str:
    return " ".join(text.split())[:600]
