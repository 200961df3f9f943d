"""For training processes: torch."""

from mnist_tune.preload import load

load("mnist_tune.job")
