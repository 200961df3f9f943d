"""What the fork server of the tests loads: what the product's loads, and what tests have children do."""

from mnist_tune.processes.preload import load, workers

assert workers
load("tests.support.child_functions", "tests.support.toy_worker", "tests.system.interrupted_processes")
