# SPDX-License-Identifier: Apache-2.0
"""Storms of a size that every change can bear; `make chaos` runs longer ones, with other seeds."""

from pathlib import Path

import pytest

from chaos.storm import SETTINGS, Storm, prepare
from cluster.conftest import temporary

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

KEPT = Path(__file__).resolve().parents[2] / ".cache" / "chaos" / "tests"


@pytest.mark.parametrize(("runtime", "seed", "rounds"), [("docker", 1, 2), ("fake", 5, 2)])
def test_after_a_storm_everything_acknowledged_is_there_once_and_nothing_else(
    runtime: str, seed: int, rounds: int
) -> None:
    with temporary(f"storm-{runtime}", runtime=runtime, settings=SETTINGS) as cluster:
        prepare(cluster)
        verdict = Storm(cluster, KEPT / runtime).rage(seed, rounds)
    assert verdict.faults == [], f"repeat it: make chaos SEED={seed} ROUNDS={rounds} RUNTIME={runtime}\n{verdict.story}"
