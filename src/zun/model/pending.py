# SPDX-License-Identifier: Apache-2.0
"""What a wish still waits for."""

from zun.model.records import ContainerRecord


def first_request(record: ContainerRecord) -> str:
    """The request that whoever works on the container now works for; "" when nothing was asked that is not done."""
    return record.intents[0].request_id if record.intents else ""
