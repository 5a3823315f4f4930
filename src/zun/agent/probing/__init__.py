# SPDX-License-Identifier: Apache-2.0
"""Whether containers are well, found out by the agent: health checks where the engine runs none, and the probes of capsules."""
