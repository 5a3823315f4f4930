# SPDX-License-Identifier: Apache-2.0
"""The same commands of the foreign clients on containerd: what people type does not tell which engine runs it."""

from collections.abc import Callable, Iterator

import pytest

from compat.clients import BIN, Host, Library, Shell, environment
from compat.test_library import test_bytes_come_back_as_they_went_in, test_pages_are_followed_to_the_end
from compat.test_shells import (
    test_auto_remove_leaves_nothing,
    test_capsules_are_made_from_a_file_shown_and_deleted,
    test_cp_copies_files_in_and_out,
    test_create_makes_what_all_its_options_say,
    test_delete_takes_away_what_may_be_deleted,
    test_exec_prints_the_output_and_ends_with_the_exit_code,
    test_kill_sends_the_signal_it_is_told,
    test_limits_name_and_healing_are_changed,
    test_list_and_show_tell_what_there_is,
    test_logs_prints_what_was_asked_for,
    test_run_creates_and_starts,
    test_top_and_stats_look_inside,
    test_wait_waits_until_it_is_so,
    test_what_was_done_is_told,
)
from support.containerd_engine import Containerd, containerd
from support.keystone import keystone
from support.service import Service, service
from support.stage import Stage

__all__ = [
    "test_auto_remove_leaves_nothing",
    "test_bytes_come_back_as_they_went_in",
    "test_capsules_are_made_from_a_file_shown_and_deleted",
    "test_cp_copies_files_in_and_out",
    "test_create_makes_what_all_its_options_say",
    "test_delete_takes_away_what_may_be_deleted",
    "test_exec_prints_the_output_and_ends_with_the_exit_code",
    "test_kill_sends_the_signal_it_is_told",
    "test_limits_name_and_healing_are_changed",
    "test_list_and_show_tell_what_there_is",
    "test_logs_prints_what_was_asked_for",
    "test_pages_are_followed_to_the_end",
    "test_run_creates_and_starts",
    "test_top_and_stats_look_inside",
    "test_wait_waits_until_it_is_so",
    "test_what_was_done_is_told",
]


@pytest.fixture(scope="module")
def engine() -> Iterator[Containerd]:
    with containerd() as running:
        yield running


@pytest.fixture(scope="module")
def house(engine: Containerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    if not (BIN / "zun").exists():
        pytest.skip("needs the foreign clients: run scripts/setup-compat-venv")
    with service(tmp_path_factory.mktemp("house") / "state", runtime="cri", settings=engine.settings) as running:
        yield running


@pytest.fixture(scope="module")
def auth_url(house: Service) -> Iterator[str]:
    with keystone(house.url) as url:
        yield url


@pytest.fixture(scope="module")
def stage(house: Service) -> Iterator[Stage]:
    with Stage(house, network="") as made:  # this engine's own bridge leaves no choice
        yield made


@pytest.fixture(scope="module")
def environment_of(house: Service, auth_url: str) -> Callable[[str], dict[str, str]]:
    return lambda name: environment(name, house, auth_url)


@pytest.fixture(scope="module")
def library(host: Host, house: Service) -> Library:
    return Library(host, house)


def test_starts_and_stops_are_the_same_and_a_pause_is_refused_with_the_reason(shell: Shell, stage: Stage) -> None:
    name = stage.make("Created")
    for command, words, status in [
        ("start", [], "Running"),
        ("restart", ["--timeout", 5], "Running"),
        ("stop", ["--timeout", 5], "Stopped"),
        ("start", [], "Running"),
    ]:
        assert f"Request to {command} container {name} has been accepted" in shell.good(command, name, *words)
        stage.until(name, status)
    said = shell("pause", name).text
    assert "pause containers" in said
    assert "accepted" not in said
    assert stage.show(name)["status"] == "Running"
