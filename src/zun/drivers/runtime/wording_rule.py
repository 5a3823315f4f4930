# SPDX-License-Identifier: Apache-2.0
"""What an engine's sentence means."""

from dataclasses import dataclass

from zun.model.errors import ZunError


@dataclass(frozen=True, slots=True)
class Rule:
    """When `words` occur in the engine's sentence: which error, and what to do."""

    words: tuple[str, ...]
    error: type[ZunError]
    advice: str
