# SPDX-License-Identifier: Apache-2.0
"""What the engine shows, in our words. Pure, like its counterpart `request.py`."""

from datetime import datetime
from typing import Any

from zun.drivers.runtime import labels
from zun.drivers.runtime.docker.request import joined
from zun.drivers.runtime.types import ImageInfo, RuntimeEvent, RuntimeEventKind, SandboxSeen, Seen
from zun.model.records import Address, SeenState

_STATES = {
    "created": SeenState.CREATED,
    "running": SeenState.RUNNING,
    "paused": SeenState.PAUSED,
    "exited": SeenState.EXITED,
    "dead": SeenState.DEAD,
}
_EVENTS = {
    "start": RuntimeEventKind.STARTED,
    "die": RuntimeEventKind.EXITED,
    "oom": RuntimeEventKind.OOM,
    "pause": RuntimeEventKind.PAUSED,
    "unpause": RuntimeEventKind.UNPAUSED,
    "destroy": RuntimeEventKind.REMOVED,
    "health_status": RuntimeEventKind.HEALTH,
    "update": RuntimeEventKind.OTHER,
}
WATCHED_EVENTS = tuple(_EVENTS)
"""The engine's names of the events that matter; exec and attach make many others."""

_KILLED = 137
_NANO = 1_000_000_000


def identity(told: dict[str, Any]) -> tuple[str, str, int] | None:
    """Owner, uuid and generation of an inspected container; None when it is not ours at all."""
    found = told["Config"].get("Labels") or {}
    generation = found.get(labels.GENERATION, "")
    if not found.get(labels.UUID) or not generation.isdecimal():
        return None
    return found.get(labels.OWNER, ""), found[labels.UUID], int(generation)


def container(told: dict[str, Any], *, oom_at: float | None = None) -> Seen:
    """An inspected container of ours.

    `oom_at` is when the engine last said that it ran out of memory: its own flag stays false when that news comes after the news of its end.
    """
    state = told["State"]
    started_at = moment(state.get("StartedAt"))
    killed = state["ExitCode"] == _KILLED and oom_at is not None and oom_at >= (started_at or 0)
    known = identity(told)
    _, uuid, generation = known if known is not None else ("", "", 0)
    seen = _STATES.get(state["Status"], SeenState.UNKNOWN)
    ended = seen in {SeenState.EXITED, SeenState.DEAD}
    return Seen(
        handle=told["Id"],
        uuid=uuid,
        generation=generation,
        state=seen,
        exit_code=state["ExitCode"] if ended else None,
        oom_killed=bool(state.get("OOMKilled")) or killed,
        error=state.get("Error") or "",
        created_at=moment(told.get("Created")),
        started_at=started_at,
        finished_at=moment(state.get("FinishedAt")) if ended else None,
        health=_health(state),
        addresses=_addresses(told["NetworkSettings"].get("Networks") or {}),
        ports=_ports(dict.fromkeys(_exposed(told))),
        image_id=told.get("Image") or "",
        pid=state.get("Pid") or 0,
        capsule=(told["Config"].get("Labels") or {}).get(labels.CAPSULE, ""),
    )


def sandbox_identity(found: dict[str, str] | None) -> tuple[str, str, int] | None:
    """Owner, capsule and generation by a sandbox's labels; None for what is no sandbox."""
    known = found or {}
    generation = known.get(labels.GENERATION, "")
    if not labels.is_sandbox(known) or not generation.isdecimal():
        return None
    return known.get(labels.OWNER, ""), known[labels.CAPSULE], int(generation)


def sandbox(told: dict[str, Any]) -> SandboxSeen:
    """An inspected sandbox of ours."""
    state = told["State"]
    return _sandbox(
        told["Id"],
        told["Config"].get("Labels"),
        told["NetworkSettings"].get("Networks"),
        ready=state["Status"] == "running",
        created_at=moment(told.get("Created")),
        error=state.get("Error") or "",
    )


def listed_sandbox(told: dict[str, Any]) -> SandboxSeen:
    """A sandbox of ours as the engine's list tells of it."""
    return _sandbox(
        told["Id"],
        told.get("Labels"),
        (told.get("NetworkSettings") or {}).get("Networks"),
        ready=told["State"] == "running",
        created_at=float(told["Created"]),
    )


def _sandbox(
    handle: str,
    found: dict[str, str] | None,
    networks: dict[str, dict[str, Any]] | None,
    *,
    ready: bool,
    created_at: float | None,
    error: str = "",
) -> SandboxSeen:
    known = sandbox_identity(found)
    _, uuid, generation = known if known is not None else ("", "", 0)
    return SandboxSeen(
        handle=handle,
        uuid=uuid,
        generation=generation,
        ready=ready,
        created_at=created_at,
        error=error,
        addresses=_addresses(networks or {}) if ready else (),
    )


def image(told: dict[str, Any]) -> ImageInfo:
    """An inspected image."""
    config = told.get("Config") or {}
    return ImageInfo(
        id=told["Id"],
        tags=tuple(told.get("RepoTags") or ()),
        digests=tuple(told.get("RepoDigests") or ()),
        size=told.get("Size") or 0,
        command=config.get("Cmd") or None,
        entrypoint=config.get("Entrypoint") or None,
        workdir=config.get("WorkingDir") or None,
        exposed_ports=tuple(sorted(config.get("ExposedPorts") or {})),
    )


def event(told: dict[str, Any]) -> RuntimeEvent | None:
    """An event of one of our containers; None when it does not matter."""
    kind = _EVENTS.get(str(told.get("Action", "")).partition(":")[0])
    actor = told.get("Actor") or {}
    marks = actor.get("Attributes") or {}
    uuid, capsule = marks.get(labels.UUID, ""), marks.get(labels.CAPSULE, "")
    if kind is None or not (uuid or capsule):
        return None
    return RuntimeEvent(kind=kind, handle=actor["ID"], uuid=uuid, at=told.get("timeNano", 0) / _NANO, capsule=capsule)


def moment(text: str | None) -> float | None:
    """Seconds since the epoch; None for the engine's year 1, which means never."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text).timestamp()


def _health(state: dict[str, Any]) -> str | None:
    status = (state.get("Health") or {}).get("Status")
    return status if status in {"starting", "healthy", "unhealthy"} else None


def _addresses(networks: dict[str, dict[str, Any]]) -> tuple[Address, ...]:
    return tuple(
        Address(network=name, addr=addr, version=version, port=place.get("EndpointID") or "")
        for name, place in networks.items()
        for addr, version in ((place.get("IPAddress"), 4), (place.get("GlobalIPv6Address"), 6))
        if addr
    )


def _exposed(told: dict[str, Any]) -> list[str]:
    """The image's ports, and those that were asked for."""
    asked = (told["Config"].get("Labels") or {}).get(labels.PORTS, "") if joined(told) else ""
    return [*(told["Config"].get("ExposedPorts") or {}), *filter(None, asked.split(","))]


def _ports(exposed: dict[str, Any]) -> tuple[int, ...]:
    return tuple(sorted({int(port.partition("/")[0]) for port in exposed if port.partition("/")[0].isdecimal()}))
