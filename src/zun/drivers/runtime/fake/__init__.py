# SPDX-License-Identifier: Apache-2.0
"""A runtime in memory that does what it is told, and goes wrong when it is told: for tests, benchmarks and trying out.

Programs that its images have: sleep, echo, printf, cat, wc, true, false, env, pwd, hostname, stty and a very small sh.
Time comes from the clock it is given; nothing else makes anything happen.
"""

from zun.drivers.runtime.fake.engine import FakeEngine
from zun.drivers.runtime.fake.runtime import FakeRuntime

__all__ = ["FakeEngine", "FakeRuntime"]
