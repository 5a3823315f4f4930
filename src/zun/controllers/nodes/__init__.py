# SPDX-License-Identifier: Apache-2.0
"""What becomes of containers whose node is lost, drained or declared down: says *that* and *when* they leave; the scheduler says where to.

`patience.py` counts how long nodes are away, `judging.py` says what follows for one container (pure), `loop.py` looks and writes.
The protocol is docs/decisions/0028-who-may-run-what-and-when.md.
"""
