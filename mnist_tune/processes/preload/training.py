"""For training processes: torch."""

from mnist_tune.processes.preload import load

load("mnist_tune.worker.child_main")
