"""A study that another program has given a name that `create-study` would refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.contract.wire import wire_adapter
from mnist_tune.results.study_results import Results
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_studies import RemoteStudies
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.service import wire
from mnist_tune.service.direct import DirectStudies
from tests.support.head_pages import HOSTILE, renamed
from tests.support.heads import running_head
from tests.support.made_studies.cells import complete_cell
from tests.support.studies import folders, new_study


def test_its_results_are_read_after_the_wire(tmp_path: Path) -> None:
    study = renamed(new_study(tmp_path))
    complete_cell(study, 90.0)
    results = DirectStudies(study.storage, lambda: folders(tmp_path)).results(HOSTILE)
    adapter = wire_adapter(Results)
    assert adapter.validate_json(adapter.dump_json(results)) == results


def test_people_and_workers_know_it_through_a_head(tmp_path: Path) -> None:
    study = renamed(new_study(tmp_path))
    with running_head(study.storage, tmp_path) as address:
        people = RemoteStudies(Head(address))
        assert people.spec(HOSTILE).study.name == people.results(HOSTILE).spec.study.name == HOSTILE
        assert RemoteStudy(Head(address), HOSTILE, tmp_path / "states").spec.study.name == HOSTILE


def test_no_study_can_be_made_with_such_a_name(tmp_path: Path) -> None:
    study = renamed(new_study(tmp_path))
    sent = wire.call("create").sent({"spec": study.spec})
    with pytest.raises(ValueError, match=r"study\.name: .* is not allowed"):
        wire.call("create").arguments.model_validate_json(sent)
