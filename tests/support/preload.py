"""The modules for the tests' fork server: the product's, and the functions that tests run in children."""

from mnist_tune.processes.preload import load, workers

assert workers
load(
    "tests.support.child_functions",
    "tests.support.toy_worker",
    "tests.system.interrupted_processes",
    "tests.support.warmed_up",
)
