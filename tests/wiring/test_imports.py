# SPDX-License-Identifier: Apache-2.0
"""A process loads what its role needs and no more: start time and memory are paid by everybody who runs it."""

import subprocess
import sys

import pytest

HEAVY = (
    "aiohttp",
    "cryptography",
    "grpc",
    "keystonemiddleware",
    "opentelemetry",
    "oslo_policy",
    "pyroute2",
    "starlette",
    "uvicorn",
)
API = {"oslo_policy", "starlette", "uvicorn"}


@pytest.mark.parametrize(
    ("role", "needed"),
    [("all", API), ("api", API), ("controller", set()), ("compute", set()), ("gate", {"cryptography", "grpc"})],
)
def test_a_role_loads_no_heavy_module_that_it_can_do_without(role: str, needed: set[str]) -> None:
    """What is chosen by a setting (the store, the engine, who callers are) is loaded when it is chosen."""
    code = f"import sys, zun.wiring.role_{role}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert set(done.stdout.split()) == needed
