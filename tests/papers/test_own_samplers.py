"""The package of the paper on own samplers is installed as it stands there, and draws."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mnist_tune.search import own_samplers
from mnist_tune.spec.sampler_options import GROUP
from mnist_tune.worker.trial import Trial
from tests.papers.papers import ROOT, blocks
from tests.support.installed_samplers import install_sampler
from tests.support.made_studies.epochs import made_epoch
from tests.support.studies import new_study, work

PAPER = ROOT / "studies" / "own_samplers.md"


def one_epoch(trial: Trial) -> float:
    trial.epoch_done(made_epoch(1, 50.0), last=True)
    return 50.0


def test_the_package_that_is_shown_brings_the_sampler_that_the_spec_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, search = blocks(PAPER, "toml")
    code = blocks(PAPER, "python")[0]
    [(name, target)] = tomllib.loads(project)["project"]["entry-points"][GROUP].items()
    module, function = target.split(":")
    assert tomllib.loads(search)["search"]["sampler"] == name
    install_sampler(tmp_path / "packages", entry=f"{name} = {target}")
    (tmp_path / "packages" / f"{module}.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    space = "[search.space]\nlearning_rate = {low = 1e-5, high = 1e-2, log = true}\ndropout = [0.0, 0.1]\n"
    study = new_study(tmp_path, f'[study]\nname = "tiny"\n{search}\n{space}[training]\nepochs = 1\n')
    work(study, one_epoch, max_trials=12)
    trials = study.storage.get_all_trials(study.study_id)[:12]
    assert len({trial.params["learning_rate"] for trial in trials}) == 12
    options = tomllib.loads(search)["search"]["options"]
    drawing = own_samplers.own_sampler(name, options, 7)
    assert drawing._n_ei_candidates == options["n_ei_candidates"]  # type: ignore[attr-defined]
    assert own_samplers.loaded(name).__name__ == function
