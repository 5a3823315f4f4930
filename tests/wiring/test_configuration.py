# SPDX-License-Identifier: Apache-2.0
"""The sample of the configuration file is true."""

import re
from pathlib import Path

import pytest

from zun import config
from zun.model.errors import Invalid
from zun.model.sandboxes import Sandboxes

SAMPLE = Path(__file__).parents[2] / "docs" / "zun.conf.sample"


def test_the_sample_is_what_this_version_prints() -> None:
    assert SAMPLE.read_text() == config.sample()


def test_the_sample_with_every_option_set_means_the_defaults(tmp_path: Path) -> None:
    every = re.sub(r"^#([a-z_]+ =)", r"\1", SAMPLE.read_text(), flags=re.MULTILINE)
    (tmp_path / "zun.conf").write_text(every)
    assert config.load(tmp_path, tmp_path / "zun.conf") == config.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[scheduler]\ntenant_isolation = sandboxed\n", "[scheduler] tenant_isolation: 'sandboxed' needs [controller]"),
        ("[controller]\nsandboxed_projects = shop\n", "sandboxed_projects needs sandboxed_runtimes"),
    ],
)
def test_sandboxes_that_are_demanded_and_not_known_end_the_start(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "zun.conf").write_text(text)
    with pytest.raises(Invalid, match=re.escape(words)):
        config.load(tmp_path, tmp_path / "zun.conf")


def test_sandboxes_are_read_in_the_order_of_preference(tmp_path: Path) -> None:
    (tmp_path / "zun.conf").write_text("[controller]\nsandboxed_runtimes = runsc, kata\nsandboxed_projects = shop\n")
    found = config.load(tmp_path, tmp_path / "zun.conf").controller.sandboxes()
    assert found == Sandboxes(("runsc", "kata"), frozenset({"shop"}))
