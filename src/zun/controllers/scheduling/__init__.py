# SPDX-License-Identifier: Apache-2.0
"""Where containers go.

    wishes ─ requests.py ─┐
                          ├─ planner.py (filters/ → weighers.py) ─ a place, or why there is none
    nodes ── cluster.py ──┘        pure: a snapshot in, a plan out

`tenants.py` counts whose containers are where, for tenant isolation (`filters/isolation.py`).

`loop.py` keeps the snapshot in step with the view (`following.py`), asks the planner, and writes what it decided (`placing.py`,
`resizing.py`, `batches.py`), fenced by leadership.
"""
