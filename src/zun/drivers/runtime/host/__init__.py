# SPDX-License-Identifier: Apache-2.0
"""What containers look like from the machine they run on, whatever engine made them: control groups and process tables."""
