# SPDX-License-Identifier: Apache-2.0
"""The sample of the configuration file is true."""

import re
from pathlib import Path

from zun import config

SAMPLE = Path(__file__).parents[2] / "docs" / "zun.conf.sample"


def test_the_sample_is_what_this_version_prints() -> None:
    assert SAMPLE.read_text() == config.sample()


def test_the_sample_with_every_option_set_means_the_defaults(tmp_path: Path) -> None:
    every = re.sub(r"^#([a-z_]+ =)", r"\1", SAMPLE.read_text(), flags=re.MULTILINE)
    (tmp_path / "zun.conf").write_text(every)
    assert config.load(tmp_path, tmp_path / "zun.conf") == config.load(tmp_path)
