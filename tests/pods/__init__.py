# SPDX-License-Identifier: Apache-2.0
"""Many capsules that come and go on one node while its processes are killed: nothing of them may be left."""
