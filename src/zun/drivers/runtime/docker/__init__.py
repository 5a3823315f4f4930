# SPDX-License-Identifier: Apache-2.0
"""Docker as a runtime: `DockerRuntime.open(...)`. Imported only where Docker is in use, for it costs start-up time."""

from zun.drivers.runtime.docker.options import DockerOptions
from zun.drivers.runtime.docker.runtime import DockerRuntime

__all__ = ["DockerOptions", "DockerRuntime"]
