# SPDX-License-Identifier: Apache-2.0
"""What a role does not need it does not load: memory and the time to start."""

import subprocess
import sys


def loaded(module: str) -> set[str]:
    """The packages that are there after a module was imported."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_everything_in_one_process_does_without_grpc_and_certificates() -> None:
    assert not loaded("zun.wiring.role_all") & {"grpc", "google", "cryptography"}
