"""The training process's message about a failed trial, and the memory that it keeps afterwards."""

from __future__ import annotations

import gc
import weakref
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.description import Source
from mnist_tune.jobs.hyperparameters import Hyperparameters
from mnist_tune.jobs.interface import Trial, job
from mnist_tune.worker.child_main import HostedFunction, Trainings, WorkerMessages, _failure
from mnist_tune.worker.messages import Failed, Run, SetUp, receive

RUN = Run({"epochs": 1}, None, 0, "token", 10.0)


class Large:
    """Stands for the memory of a trial: weights, moments, images."""


HELD: list[weakref.ref[Large]] = []


@job(objective="error", direction="minimize")
def fail(settings: Hyperparameters, trial: Trial) -> None:
    """Fails in the middle of a trial, while it holds all of that memory."""
    large = Large()
    HELD.append(weakref.ref(large))
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")


@pytest.fixture
def pipe() -> tuple[Connection, Connection]:
    ours, theirs = Pipe()
    return ours, theirs


def test_nothing_of_a_trial_that_ran_out_of_memory_is_kept_for_the_next(
    tmp_path: Path, pipe: tuple[Connection, Connection]
) -> None:
    ours, theirs = pipe
    setup = SetUp("cpu", None, None, {}, tmp_path)
    unheard = object.__new__(WorkerMessages)  # one that listens would end this process with the pipe
    runtime = Runtime("cpu", "a CPU", "fp32", 1)
    hosted = HostedFunction(setup, runtime, fail, fail.describe("fail", Source()))
    trainings = Trainings(setup, theirs, unheard, runtime, hosted)
    gc.disable()
    try:
        trainings.run(RUN)
        assert HELD[-1]() is None
    finally:
        gc.enable()
    answer = receive(ours)
    assert isinstance(answer, Failed)
    assert answer.failure.kind == "out_of_memory"
    assert "Tried to allocate 20 GiB" in answer.failure.reason


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: out of memory",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_too_little_memory_is_recognised_whoever_says_so(said: str) -> None:
    assert _failure(RuntimeError(said)).kind == "out_of_memory"
    on_top = RuntimeError("the recording was invalidated")
    on_top.__context__ = RuntimeError(said)
    assert _failure(on_top).kind == "out_of_memory"


def test_any_other_error_is_an_exception() -> None:
    assert _failure(ValueError("no such thing")).kind == "exception"
