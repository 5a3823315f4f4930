# SPDX-License-Identifier: Apache-2.0
"""Names of images mean the same thing everywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zun.model.errors import Invalid
from zun.model.image_reference import ImageReference, parse

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("team/app", "docker.io/team/app:latest"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
        ("zun.local/busybox:latest", "zun.local/busybox:latest"),
        ("zun.local/busybox", "zun.local/busybox:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("Registry.Example:5000/a/b-c/d__e:V1.0", "registry.example:5000/a/b-c/d__e:V1.0"),
        ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        (f"host:1/app:1@{DIGEST}", f"host:1/app@{DIGEST}"),
    ],
)
def test_every_spelling_of_a_name_has_one_full_form(text: str, canonical: str) -> None:
    assert parse(text).canonical() == canonical
    assert parse(canonical).canonical() == canonical


def test_the_parts_are_told_apart() -> None:
    assert parse(f"host:1/team/app:2@{DIGEST}") == ImageReference("host:1", "team/app", "2", DIGEST)
    assert parse(f"app@{DIGEST}").tag is None


def test_another_default_registry_gets_no_library() -> None:
    assert parse("app", default_domain="registry.example:5000").canonical() == "registry.example:5000/app:latest"
    assert parse("zun.local/app", default_domain="registry.example").canonical() == "zun.local/app:latest"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (" busybox", "blanks"),
        ("Busybox", "upper-case"),
        ("team/App", "upper-case"),
        ("a b", "'a b'"),
        ("app:", "is no tag"),
        ("app:-x", "is no tag"),
        ("app:" + "x" * 129, "is no tag"),
        ("app@sha256:123", "digest is expected"),
        ("app@md5:" + "0" * 32, "digest is expected"),
        ("app@", "digest is expected"),
        ("a//b", "''"),
        ("host.example/", "''"),
        ("-host.example/app", "is no registry"),
        ("host:port/app", "is no registry"),
        ("0a" * 32, "id of an image"),
        ("a/" * 140 + "b", "longer than 255"),
        ("c/$(reboot)", "no part of a name"),
    ],
)
def test_a_malformed_name_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(text)
    assert why in refused.value.message


@given(st.text(max_size=80))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    try:
        parsed = parse(text)
    except Invalid:
        return
    assert parse(parsed.canonical()).canonical() == parsed.canonical()
