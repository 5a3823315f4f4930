# SPDX-License-Identifier: Apache-2.0
"""Docker as a runtime: `runtime.DockerRuntime.open(...)`. Nothing is imported here: the settings read the options beside it in every process,
and the engine's client weighs much where no engine is.
"""
