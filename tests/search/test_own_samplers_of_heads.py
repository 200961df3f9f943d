"""A head draws with the samplers that are installed on its machine; those who ask it need none."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState

from mnist_tune.contract.study import SamplerFailed, StudyForWorkers
from mnist_tune.errors import UserError
from mnist_tune.search import own_samplers
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.study.direct import DirectStudy
from tests.support.contract_calls import ME, taken
from tests.support.heads import running_head
from tests.support.installed_samplers import NEAR_THE_BEST, Install, spec
from tests.support.studies import folders, new_study, opened_again, states


def test_a_head_draws_with_what_its_machine_has(tmp_path: Path, install: Install) -> None:
    install()
    study = new_study(tmp_path, spec(4))
    with running_head(study.storage, tmp_path) as address:
        workers: list[StudyForWorkers] = [
            RemoteStudy(Head(address), "tiny", tmp_path / "one"),
            RemoteStudy(Head(address), "tiny", tmp_path / "two"),
            DirectStudy(opened_again(study), folders(tmp_path)),
        ]
        for worker in workers:
            worker.register(ME)
        points = [worker.parameters(taken(worker)) for worker in workers]
        assert len({tuple(point.items()) for point in points}) == 3
        # It is changed under the head that runs, and then taken away.
        install(NEAR_THE_BEST.replace("complete = study", "raise KeyError('gone')\n        complete = study"))
        with pytest.raises(SamplerFailed, match=r"^sampler 'near': KeyError: 'gone'$"):
            workers[0].parameters(taken(workers[0]))


def test_a_head_that_lacks_it_gives_no_cell_and_takes_results(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    study = new_study(tmp_path, spec(2))
    with running_head(study.storage, tmp_path) as address:
        worker = RemoteStudy(Head(address), "tiny", tmp_path / "one")
        worker.register(ME)
        claim = taken(worker)
        worker.parameters(claim)
        monkeypatch.undo()
        own_samplers.loaded.cache_clear()
        with pytest.raises(UserError, match=r"^search\.sampler: 'near' is none of .* not installed on "):
            taken(worker)
        worker.complete(claim, 60.0, {})
        with pytest.raises(UserError, match=r"not installed on "):
            RemoteStudy(Head(address), "tiny", tmp_path / "two")
    assert states(study) == [TrialState.COMPLETE, TrialState.WAITING]
