# SPDX-License-Identifier: Apache-2.0
"""What is gone is cleared away: records, quota, names, addresses; its history is completed and kept for a while.

`judging.py` says what is to go (pure), `removal.py` what that means in writes, `history.py` how its actions ended,
`leftovers.py` what a node that was away still has to be told, `purging.py` what is too old; `loop.py` does it.
Every step may be cut off anywhere: what was not written is found again.
"""
