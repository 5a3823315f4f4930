# SPDX-License-Identifier: Apache-2.0
"""What a container of a template asks for and may use at most, in all the forms that clients write amounts in."""

from typing import Any

import pytest

from zun.model.capsule import child_claim, child_shares, together
from zun.model.capsule_template import parse_template
from zun.model.children import Child, ImageSource
from zun.model.container import ContainerSpec
from zun.model.errors import Invalid
from zun.model.quantities import CORES, MEBIBYTES
from zun.model.records import Claim
from zun.model.template_part import Part
from zun.model.template_resources import Resources, resources_of


def read(resources: dict[str, Any] | None, **bounds: tuple[float, float]) -> Resources:
    return resources_of(Part({"resources": resources}, "it"), bounds)


def child(resources: dict[str, Any], *, init: bool = False) -> Child:
    found = read(resources)
    spec = ContainerSpec(image="i", cpu=found.cpu, memory=found.memory)
    return Child("u", spec, ImageSource("i"), init=init, cpu_limit=found.cpu_limit, memory_limit=found.memory_limit)


@pytest.mark.parametrize(
    ("written", "cores"),
    [(1, 1.0), (0.5, 0.5), ("0.5", 0.5), ("2", 2.0), ("500m", 0.5), ("1m", 0.001), ("2500m", 2.5), (0, 0.0)],
)
def test_cores_are_numbers_or_thousandths(written: object, cores: float) -> None:
    assert CORES.parse("cpu", written) == cores


@pytest.mark.parametrize(
    "written", [-1, -0.5, "-1", "", "m", "0.5m", "1k", "1 ", "1e3", "1M", True, [], float("nan"), float("inf"), "٣"]
)
def test_what_is_no_number_of_cores_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        CORES.read(written)


@pytest.mark.parametrize(
    ("written", "mebibytes"),
    [
        (256, 256), ("256", 256), (0, 0),
        ("128Mi", 128), ("1Gi", 1024), ("1.5Gi", 1536), ("2Ti", 2 << 20), ("1024Ki", 1), ("1Ki", 1), ("0Mi", 0),
        ("128M", 123), ("1G", 954), ("1k", 1), ("1T", 953675),
        (122.0703125, 123), ("122.5", 123), (128.0000000001, 128), (128.0, 128),
    ],
)  # fmt: skip
def test_memory_is_a_number_of_mib_or_an_amount_with_a_unit_and_is_rounded_up(written: object, mebibytes: int) -> None:
    assert MEBIBYTES.parse("memory", written) == mebibytes


@pytest.mark.parametrize(
    "written",
    [
        -1,
        "-1Mi",
        "",
        "Mi",
        "1 Mi",
        "1mi",
        "1MB",
        "1m",
        "1E",
        "1e3",
        True,
        {},
        float("nan"),
        float("inf"),
        10**10,
        "9" * 18 + "Ti",
        "9" * 40,
    ],
)
def test_what_is_no_amount_of_memory_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        MEBIBYTES.read(written)


@pytest.mark.parametrize(
    ("resources", "meant"),
    [
        (None, Resources()),
        ({}, Resources()),
        ({"requests": {"cpu": 0.5, "memory": 64}}, Resources(0.5, 64)),
        ({"limits": {"cpu": "1500m", "memory": "1Gi"}}, Resources(1.5, 1024)),
        ({"requests": {"cpu": 1}, "limits": {"memory": 64}}, Resources(1.0, 64)),
        ({"requests": {"cpu": 0.5, "memory": 64}, "limits": {"cpu": 2}}, Resources(0.5, 64, cpu_limit=2.0)),
        ({"requests": {"cpu": 1, "memory": 64}, "limits": {"cpu": 1, "memory": "64Mi"}}, Resources(1.0, 64)),
        ({"requests": {"memory": "64Mi"}, "limits": {"memory": "1Gi"}}, Resources(0.0, 64, memory_limit=1024)),
        ({"requests": {"cpu": None, "memory": 64}, "limits": None}, Resources(0.0, 64)),
        ({"requests": {"cpu": 0}, "limits": {"cpu": 1}}, Resources(0.0, 0, cpu_limit=1.0)),
    ],
)
def test_each_is_the_other_where_only_one_is_named(resources: dict[str, Any] | None, meant: Resources) -> None:
    assert read(resources) == meant


def test_the_operators_bounds_hold_for_both() -> None:
    for which in ("requests", "limits"):
        with pytest.raises(Invalid, match=f"'it.resources.{which}.memory' must be between 4 and 128"):
            read({which: {"memory": "129Mi"}}, memory=(4, 128))


def test_what_is_asked_for_is_counted_and_what_is_allowed_is_the_engines_limit() -> None:
    app = child({"requests": {"cpu": "250m", "memory": 64}, "limits": {"cpu": 1, "memory": "128Mi"}})
    assert child_claim(app) == Claim(millicpus=1000, memory_mib=128)
    assert together([app, app]) == (0.5, 128)
    assert child_claim(child({"requests": {"cpu": 0.5, "memory": 64}})) == Claim(millicpus=500, memory_mib=64)
    assert child_claim(child({})) == Claim()


@pytest.mark.parametrize(
    ("requests", "shares"), [({"cpu": 0.5}, 512), ({"cpu": 2}, 2048), ({"cpu": "1m"}, 2), ({"cpu": 0}, 2), ({}, None)]
)
def test_a_container_that_may_use_more_than_it_asked_for_is_weighed_by_that(
    requests: dict[str, Any], shares: int | None
) -> None:
    assert child_shares(child({"requests": requests, "limits": {"cpu": 4}})) == shares


def test_a_template_carries_both_to_its_containers() -> None:
    container = {"image": "nginx", "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": 1, "memory": "1Gi"}}}
    value = {"kind": "capsule", "metadata": {}, "spec": {"containers": [container]}}
    (found,) = parse_template(value, {}).containers
    assert (found.spec.cpu, found.spec.memory) == (0.5, 1024)
    assert found.resources == Resources(0.5, 1024, cpu_limit=1.0)
