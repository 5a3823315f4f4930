# SPDX-License-Identifier: Apache-2.0
"""Where errors of the kernel become ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from zun.model.errors import Internal


@contextmanager
def kernel(what: str) -> Iterator[None]:
    """Turn an `OSError` of the block into `Internal`: `what` was refused, and in which words."""
    try:
        yield
    except OSError as error:
        raise Internal(
            f"The kernel did not {what}: {error.strerror or error}. See that zund runs as root, and its log."
        ) from error
