# SPDX-License-Identifier: Apache-2.0
"""Names of images, read once and the same way everywhere.

People write `busybox`, `host:5000/team/app:1.2` or `app@sha256:…`; services, agents and engines need one full form, or
the same image is two things in two places. Nothing here asks an engine or a registry.
"""

import re

import msgspec

from zun.model.errors import Invalid

DEFAULT_DOMAIN = "docker.io"
"""Where names without a registry come from, and the only place where one-word names lie below `library/`."""

DEFAULT_TAG = "latest"
_MAX_NAME = 255

_HOST_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")
_PATH_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_ID = re.compile(r"[0-9a-f]{64}")
_DOMAIN_ALIASES = {"index.docker.io": DEFAULT_DOMAIN, "registry-1.docker.io": DEFAULT_DOMAIN}


class ImageReference(msgspec.Struct, frozen=True):
    """An image's full name. `tag` is None only where a digest alone was given; a digest, where given, decides."""

    domain: str
    path: str
    tag: str | None = DEFAULT_TAG
    digest: str | None = None

    @property
    def name(self) -> str:
        """Registry and path, without tag or digest."""
        return f"{self.domain}/{self.path}"

    def canonical(self) -> str:
        """The one full form: `domain/path@digest` when there is a digest, else `domain/path:tag`."""
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag or DEFAULT_TAG}"


def parse(text: str, *, default_domain: str = DEFAULT_DOMAIN) -> ImageReference:
    """Read what a person wrote.

    The first part is a registry when it has a dot or a port or is `localhost`; otherwise the image comes from
    `default_domain`. Without tag and digest the tag is `latest`. Raises `Invalid`, which says what is wrong with the text.
    """
    if not text or text != text.strip():
        raise _malformed(text, "it is empty or has blanks around it")
    rest, digest = _split_digest(text)
    domain, rest = _split_domain(text, rest, default_domain)
    path, colon, tag = rest.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _malformed(text, f"{tag!r} is no tag (letters, digits, '_', '.' and '-', at most 128)")
    if domain == DEFAULT_DOMAIN and "/" not in path:
        if _ID.fullmatch(path):
            raise _malformed(text, "64 hexadecimal digits are the id of an image, not a name")
        path = f"library/{path}"
    _check_path(text, path)
    if len(domain) + 1 + len(path) > _MAX_NAME:
        raise _malformed(text, f"its name is longer than {_MAX_NAME} characters")
    found_tag = tag if colon else None
    return ImageReference(domain, path, found_tag or (None if digest else DEFAULT_TAG), digest)


def _split_digest(text: str) -> tuple[str, str | None]:
    rest, at, digest = text.partition("@")
    if not at:
        return text, None
    if not _DIGEST.fullmatch(digest):
        raise _malformed(text, "after '@' a digest is expected: 'sha256:' and 64 lower-case hexadecimal digits")
    return rest, digest


def _split_domain(text: str, rest: str, default_domain: str) -> tuple[str, str]:
    first, slash, after = rest.partition("/")
    if not slash or not (first == "localhost" or "." in first or ":" in first):
        return default_domain, rest
    if not _DOMAIN.fullmatch(first):
        raise _malformed(text, f"{first!r} is no registry (host or host:port)")
    lowered = first.lower()
    return _DOMAIN_ALIASES.get(lowered, lowered), after


def _check_path(text: str, path: str) -> None:
    for part in path.split("/"):
        if _PATH_PART.fullmatch(part):
            continue
        if part != part.lower():
            raise _malformed(text, "upper-case letters are not allowed in its name")
        raise _malformed(
            text, f"{part!r} is no part of a name (lower-case letters and digits, parted by '.', '_' or '-')"
        )


def _malformed(text: str, why: str) -> Invalid:
    return Invalid(f"{text!r} is no image name: {why}. Write it like 'name', 'name:tag' or 'registry/name:tag'.")
