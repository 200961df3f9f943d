import os
from pathlib import Path

import pytest

from mnist_tune.api.storages import NamedDatabase
from mnist_tune.hardware import placement
from mnist_tune.hardware.cores import usable_cores
from mnist_tune.hardware.placement import Placement, local_places
from mnist_tune.results.reading import read_results
from mnist_tune.worker.pool import Pool
from tests.support.process_tree import training_processes
from tests.support.specs import TINY_SPEC
from tests.support.studies import new_study
from tests.support.waiting import wait_until

CORES = sorted(os.sched_getaffinity(0))


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "_gpus", lambda: ["cuda:0", "cuda:1", "cuda:2"])


@pytest.fixture
def whole_machine() -> None:
    if usable_cores() != len(CORES):
        pytest.skip("has less of the machine's time than cores")


def test_without_a_gpu_every_core_has_a_worker_of_its_own(whole_machine: None) -> None:
    assert local_places(100, "auto", None) == [Placement("auto", core) for core in CORES]
    assert local_places(100, "cpu", None) == [Placement("cpu", core) for core in CORES]


def test_there_are_no_more_workers_than_cells_unless_asked_for() -> None:
    assert len(local_places(1, "cpu", None)) == 1
    assert len(local_places(1, "cpu", 5)) == 5


def test_more_workers_than_cores_share_them_evenly(whole_machine: None) -> None:
    places = local_places(100, "cpu", 3 * len(CORES))
    assert sorted(place.core for place in places if place.core is not None) == sorted(3 * CORES)


def test_workers_that_leave_cores_idle_are_kept_to_none() -> None:
    if len(CORES) == 1:
        pytest.skip("has one core")
    assert local_places(100, "cpu", len(CORES) - 1) == [Placement("cpu")] * (len(CORES) - 1)


def test_workers_of_several_threads_are_kept_to_no_core() -> None:
    assert local_places(100, "cpu", len(CORES), threads=2) == [Placement("cpu")] * len(CORES)


def test_a_container_with_a_part_of_the_machines_time_keeps_to_no_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(placement, "usable_cores", lambda: len(CORES) - 1)
    assert {place.core for place in local_places(100, "cpu", 2 * len(CORES))} == {None}


def test_workers_are_spread_over_all_gpus(three_gpus: None) -> None:
    assert local_places(100, "auto", None, per_gpu=2) == [Placement(f"cuda:{i}") for i in (0, 1, 2, 0, 1, 2)]
    assert local_places(100, "auto", 4) == [Placement(f"cuda:{i}") for i in (0, 1, 2, 0)]
    assert local_places(2, "auto", None) == [Placement("cuda:0"), Placement("cuda:1")]


def test_a_gpu_that_is_named_has_all_of_the_workers(three_gpus: None) -> None:
    assert local_places(100, "cuda:1", None) == [Placement("cuda:1")]
    assert local_places(100, "cuda:1", None, per_gpu=3) == [Placement("cuda:1")] * 3
    assert local_places(100, "cuda:1", 2) == [Placement("cuda:1")] * 2


def test_the_cpu_may_be_asked_for_beside_gpus(three_gpus: None) -> None:
    assert {place.device for place in local_places(100, "cpu", None)} == {"cpu"}


def test_a_worker_and_what_it_starts_keep_to_the_core_they_were_given(
    tmp_path: Path, mnist_directory: Path
) -> None:
    study = new_study(tmp_path, TINY_SPEC.replace("epochs = 2", "epochs = 300"))
    pool = Pool("tiny", NamedDatabase(study.storage.engine.url).environment)
    pool.start([Placement("cpu", CORES[-1])])
    try:
        wait_until(lambda: any(attempt.history for attempt in read_results(study).attempts))
        [worker] = [each.process.pid for each in pool._workers]
        [training] = training_processes(worker)
        for pid in (worker, training):
            assert os.sched_getaffinity(pid) == {CORES[-1]}
    finally:
        pool.kill()
