# SPDX-License-Identifier: Apache-2.0
"""The control groups that containers have on a CRI engine."""

from pathlib import Path

import pytest

from zun.drivers.runtime.cri.groups import Groups


@pytest.mark.parametrize(
    ("parent", "groups"),
    [
        ("/zun", ("/zun/a-b.1", "/zun/sandbox-a-b-1")),
        ("/zun/", ("/zun/a-b.1", "/zun/sandbox-a-b-1")),
        ("zun.slice", ("zun.slice", "zun.slice")),
        ("", ("", "")),
    ],
)
def test_a_container_has_groups_named_after_it_unless_systemd_names_them(parent: str, groups: tuple[str, str]) -> None:
    told = Groups(parent)
    assert (told.of_container("a-b.1"), told.of_sandbox("a-b.1")) == groups


def test_the_groups_go_from_every_hierarchy_with_what_lies_in_them_and_no_others_do(tmp_path: Path) -> None:
    for path in ("zun/a.1/attempt", "cpu/zun/a.1/attempt", "cpu/zun/sandbox-a-1/x", "cpu/zun/a.11", "memory/zun/a.1"):
        (tmp_path / path).mkdir(parents=True)
    groups = Groups("/zun", root=tmp_path)
    assert groups.remove("a.1")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"zun", "cpu", "cpu/zun", "cpu/zun/a.11", "memory", "memory/zun"}
    assert groups.remove("a.1")


def test_a_group_with_processes_stays(tmp_path: Path) -> None:
    (tmp_path / "zun/a.1/attempt").mkdir(parents=True)
    (tmp_path / "zun/a.1/attempt/busy").touch()  # rmdir refuses, as the kernel does
    assert not Groups("/zun", root=tmp_path).remove("a.1")
