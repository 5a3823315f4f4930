# SPDX-License-Identifier: Apache-2.0
"""When an embedded store forgets by itself."""

from itertools import pairwise

from zun.store.retention import Compactor, Retention


def test_nothing_is_forgotten_before_its_time() -> None:
    compactor = Compactor(Retention(seconds=600, revisions=1000))
    assert [compactor.due(second, second + 2, 0) for second in range(600)] == [None] * 600


def test_what_is_older_than_the_window_is_forgotten() -> None:
    compactor = Compactor(Retention(seconds=600, revisions=100_000))
    compacted = 0
    for second in range(3000):
        compacted = compactor.due(second, second + 2, compacted) or compacted
        age = second - (compacted - 2)
        assert second < 600 or 600 <= age <= 660 + 1


def test_a_rush_of_writes_is_cut_by_number_in_strides() -> None:
    compactor = Compactor(Retention(seconds=600, revisions=1000))
    targets = [0]
    for revision in range(2, 5000):
        target = compactor.due(0, revision, targets[-1])
        if target is not None:
            assert target == revision - 1000
            targets.append(target)
    assert len(targets) > 30
    assert all(later - earlier >= 100 for earlier, later in pairwise(targets))


def test_nothing_is_forgotten_twice() -> None:
    compactor = Compactor(Retention(seconds=10, revisions=10))
    assert compactor.due(0, 100, 95) is None
    assert compactor.due(50, 100, 100) is None
