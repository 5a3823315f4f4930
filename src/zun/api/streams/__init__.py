# SPDX-License-Identifier: Apache-2.0
"""What flows as long as somebody listens: logs, archives, watch, consoles. Bounded in memory, not in time."""
