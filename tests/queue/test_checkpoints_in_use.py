"""Which states are still needed, asked of all the studies that share a folder."""

from __future__ import annotations

from mnist_tune.queue.cells import checkpoints_in_use
from mnist_tune.study.open_study import OpenStudy
from tests.support.studies import take


def test_they_are_found_among_any_number_of_studies(study: OpenStudy) -> None:
    """SQLite takes no more than a thousand conditions that are joined by OR."""
    claim = take(study.queue())
    others = range(study.study_id + 1, study.study_id + 1500)
    with study.storage.transaction() as session:
        assert checkpoints_in_use(session, [study.study_id, *others]) == (set(), {claim.trial_id})
