# SPDX-License-Identifier: Apache-2.0
"""What the service tells of itself to those who run it: figures and traces. Nobody's work depends on it, and what is off is not loaded."""
