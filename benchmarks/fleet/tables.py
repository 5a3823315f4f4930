# SPDX-License-Identifier: Apache-2.0
"""The stretches as rows of the table."""

from collections.abc import Mapping, Sequence

from benchmarks.fleet.baseline import Replayed
from benchmarks.fleet.stretches import Flood, Loss, Stages, Stream
from benchmarks.rows import Row, milliseconds, percentile, rate
from zun.store.etcd import rpc_pb2 as pb

RATIO_TARGET = 0.5
PLACED_TARGET_SECONDS = 0.250
_MIB = 1 << 20


def both(seconds: Sequence[float]) -> str:
    """p50 and p99."""
    return f"{milliseconds(percentile(seconds, 0.5))} / {milliseconds(percentile(seconds, 0.99))}"


def of_rate(what: Flood, beside: Replayed, single: Replayed, alone: Replayed) -> list[Row]:
    """The one that counts, and what is told beside it."""
    group = "creates, as fast as it goes"
    return [
        _rate(
            "accepted and running; baseline: a bare client, beside the same fleet at rest",
            what,
            beside,
            target=RATIO_TARGET,
        ),
        _rate("the same; baseline: the transactions of creates that come one by one", what, single),
        _rate("the same; baseline: the transactions of the first line with nothing else running", what, alone),
        Row(group=group, measure="POST answered, p50 / p99", ours=both(what.answered)),
        Row(group=group, measure="POST until it runs, p50 / p99", ours=both(what.running)),
        _cpu(group, "processor time a container", what.cpu, what.count),
        _cpu(group, "the same, baseline", {"client": beside.client_cpu, "etcd": beside.etcd_cpu}, beside.containers),
    ]


def of_stages(what: Stages, count: int) -> list[Row]:
    """Halves."""
    group = "the two halves by themselves"
    return [
        Row(group=group, measure="accepted while nobody leads, containers/s", ours=rate(what.accepted)),
        _cpu(group, "processor time of that, a container", what.cpu, count),
        Row(group=group, measure="placed and running of what waits, containers/s", ours=rate(what.placed)),
    ]


def of_stream(what: Stream, per_second: float) -> list[Row]:
    """Latencies at an even pace."""
    group = f"creates, {per_second:.0f} a second"
    late = percentile(what.placed, 0.99)
    return [
        Row(group=group, measure="POST answered, p50 / p99", ours=both(what.answered)),
        Row(
            group=group,
            measure="accepted until placed, p50 / p99",
            ours=both(what.placed),
            target=f"p99 ≤ {PLACED_TARGET_SECONDS * 1000:.0f} ms",
            met=late <= PLACED_TARGET_SECONDS,
        ),
        Row(group=group, measure="accepted until it runs, p50 / p99", ours=both(what.running)),
        Row(group=group, measure="watch lag, etcd to a client of the API, p50 / p99", ours=both(what.lags)),
    ]


def of_transactions(how: str, requests: Sequence[pb.TxnRequest], containers: int) -> list[Row]:
    """What a container asks of etcd."""
    compares = sum(len(request.compare) for request in requests)
    writes = sum(len(request.success) for request in requests)
    size = sum(request.ByteSize() for request in requests)
    return [
        Row(
            group="etcd, a container",
            measure=f"transactions (compares, writes), {how}",
            ours=f"{len(requests) / containers:.2f} ({compares / containers:.1f}, {writes / containers:.1f})",
        ),
        Row(group="etcd, a container", measure=f"bytes of the transactions, {how}", ours=f"{size / containers:,.0f} B"),
    ]


def of_memory(when: str, held: Mapping[str, int]) -> Row:
    """Megabytes by role."""
    told = ", ".join(f"{role} {size / _MIB:,.0f}" for role, size in held.items() if role != "client")
    return Row(group="memory, MiB", measure=when, ours=told)


def of_rest(nodes: int, when: str, cores: Mapping[str, float]) -> Row:
    """Percent of a core by role."""
    told = ", ".join(f"{role} {share * 100:.1f}" for role, share in cores.items() if role != "client")
    return Row(group="at rest", measure=f"percent of a core, {nodes:,} nodes, {when}", ours=told)


def of_heartbeats(nodes: int, cores: Mapping[str, float], a_second: float) -> Row:
    """Percent of a core."""
    told = ", ".join(f"{role} {share * 100:.1f}" for role, share in cores.items())
    return Row(
        group="at rest",
        measure=f"percent of a core, the heartbeats of {nodes:,} nodes alone ({rate(a_second)})",
        ours=told,
    )


def of_loss(what: Loss) -> Row:
    """How soon it is shown."""
    return Row(
        group="loss",
        measure=f"{what.nodes} nodes die, until their {what.containers:,} containers are shown as Unknown (writes for these)",
        ours=f"{what.seconds:.1f} s ({what.writes})",
        target="≤ 15 s",
        met=what.seconds <= 15,
    )


def _rate(measure: str, ours: Flood, base: Replayed, target: float | None = None) -> Row:
    ratio = ours.per_second / base.per_second
    return Row(
        group="creates, as fast as it goes",
        measure=f"{measure}, containers/s",
        ours=rate(ours.per_second),
        baseline=rate(base.per_second),
        ratio=f"{ratio:.2f}",
        target=f"ratio ≥ {target:.2f}" if target else "",
        met=ratio >= target if target else None,
    )


def _cpu(group: str, what: str, seconds: Mapping[str, float], count: int) -> Row:
    each = ", ".join(f"{role} {value / count * 1000:.2f}" for role, value in seconds.items())
    whole = sum(seconds.values()) / count * 1000
    return Row(group=group, measure=f"{what}, ms", ours=f"{whole:.2f} ({each})")
