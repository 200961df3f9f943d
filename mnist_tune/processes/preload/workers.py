"""For workers, which need Optuna and no torch, and for their training processes."""

from mnist_tune.processes.preload import load

load(
    "mnist_tune.worker.child_main",
    "mnist_tune.cli",
    "mnist_tune.results.study_results",
    "mnist_tune.worker.assembly",
)
