"""Loads what training processes need: torch and the training code."""

from mnist_tune.processes.preload import load

load("mnist_tune.worker.child_main", "mnist_tune.jobs.mnist.training")
