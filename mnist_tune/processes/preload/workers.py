"""Loads what workers need, which is Optuna without torch, and what their training processes need."""

from mnist_tune.processes.preload import load

load(
    "mnist_tune.worker.child_main",
    "mnist_tune.jobs.mnist.training",
    "mnist_tune.cli",
    "mnist_tune.results.study_results",
    "mnist_tune.worker.assembly",
)
