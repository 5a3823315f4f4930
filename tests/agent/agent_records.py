# SPDX-License-Identifier: Apache-2.0
"""Records that the agent's tests are made of."""

from zun.model.container import ContainerSpec
from zun.model.records import Claim, ImageSource, Inbox, Intent, Verb

NODE = "node-1"
PROJECT = "11111111111111111111111111111111"
IMAGE = "docker.io/library/busybox:latest"


def uuid_of(number: int) -> str:
    """A readable uuid."""
    return f"00000000-0000-4000-8000-{number:012d}"


C1 = uuid_of(1)


def intent(n: int, verb: Verb, **fields: object) -> Intent:
    """An intent; its request id is made of its number unless told otherwise."""
    told: dict[str, object] = {"request_id": f"req-{n}", "at": 0.0}
    return Intent(n=n, verb=verb, **(told | fields))  # type: ignore[arg-type]


def run_intents() -> list[Intent]:
    """Create and start, asked for in one request."""
    return [intent(1, Verb.CREATE, request_id="req-run"), intent(2, Verb.START, request_id="req-run")]


def inbox(
    uuid: str = C1,
    *intents: Intent,
    generation: int = 1,
    claim: Claim | None = None,
    files: int = 0,
    source: ImageSource | None = None,
    **spec: object,
) -> Inbox:
    """An inbox entry; further fields are the spec's."""
    fields: dict[str, object] = {"image": "busybox", "command": ["sleep", "1000"]}
    return Inbox(
        uuid=uuid,
        generation=generation,
        project_id=PROJECT,
        spec=ContainerSpec(**(fields | spec)),  # type: ignore[arg-type]
        claim=claim or Claim(millicpus=1000, memory_mib=512),
        seq=intents[-1].n if intents else 0,
        intents=list(intents),
        image_source=source or ImageSource(reference=IMAGE),
        files=files,
    )
