"""The commands that the papers show, in the groups in which tests run them."""

from __future__ import annotations

SET_UP = [
    "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/mnist-tune run studies/quickstart.toml",
    "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/python -m pytest",
]
"""Run as they stand in .ci/run (the second) and, from the venv on, with those that follow (the first)."""

FROM_THE_SEARCH_TO_A_MODEL = [
    "mnist-tune run studies/quickstart.toml",
    "mnist-tune status quickstart",
    "mnist-tune status quickstart --watch",
    "mnist-tune logs quickstart --trial 5",
    "mnist-tune report quickstart --output report.html",
    "mnist-tune export quickstart --output best.toml",
    "mnist-tune worker quickstart",
    "mnist-tune train best.toml --output models/best",
    "mnist-tune evaluate models/best",
    "mnist-tune report quickstart --model models/best",
    "mnist-tune studies",
    "mnist-tune data check",
    "mnist-tune delete-study quickstart --yes",
]

THE_REFERENCE_GRID = [
    "mnist-tune run studies/seed-grid.toml",
    "mnist-tune export seed-grid --output seed-grid-best.toml",
    "mnist-tune train seed-grid-best.toml --seed 0 --output models/seed-0",
    "mnist-tune evaluate models/seed-0 --json",
]

BEYOND_IT = [
    "mnist-tune run studies/beyond.toml",
    "mnist-tune export beyond --output beyond-best.toml",
    "mnist-tune train beyond-best.toml --seed 0 --output models/beyond-0",
    "mnist-tune evaluate models/beyond-0 --json",
    "mnist-tune report beyond --model models/beyond-0",
]

OWN_MODELS = [
    "mnist-tune run studies/examples/digits.toml",
    "mnist-tune export digits --output best.toml --files models/best",
    "mnist-tune evaluate models/best --job studies/examples/digits.py:train",
    "mnist-tune report digits --model models/best",
    "mnist-tune train best.toml --job studies/examples/digits.py:train --seed 1 --output models/seed-1",
    "mnist-tune evaluate models/seed-1 --job studies/examples/digits.py:train",
    "mnist-tune report digits --model models/best --model models/seed-1",
]

MORE_SEEDS = [
    "mnist-tune create-study studies/replicates.toml --reuse quickstart",
    "mnist-tune run studies/replicates.toml",
]
TUTORIAL = [
    "mnist-tune run studies/quickstart.toml",
    *MORE_SEEDS,
    "mnist-tune report replicates --output replicates.html",
    "mnist-tune create-study studies/seed-grid.toml",
    "mnist-tune serve --host 0.0.0.0",
    "mnist-tune run studies/seed-grid.toml",
    "mnist-tune status seed-grid --watch",
    "mnist-tune drain seed-grid --host gpu-2",
    "mnist-tune export seed-grid --output seed-grid-best.toml",
    "mnist-tune report seed-grid --output seed-grid.html",
    "mnist-tune verify seed-grid",
]
"""The whole tutorial, run with smaller studies in test_tutorial.py."""

DATABASE_SERVER = [
    "createuser --pwprompt tuner",
    "createdb --owner tuner studies",
    "export MNIST_TUNE_STORAGE=postgresql://tuner@database-host/studies",
    "mnist-tune doctor",
    "mnist-tune copy-study replicates --from sqlite:///mnist-tune.db "
    "--to postgresql://tuner@database-host/studies",
    "mnist-tune create-study studies/seed-grid.toml",
    "mnist-tune worker seed-grid",
    "mnist-tune run studies/seed-grid.toml",
]
"""Run on a real server, with smaller studies, in test_tutorial.py."""

TOKENS = [
    "mnist-tune token add gpu-1 --role worker",
    "mnist-tune token list",
    "mnist-tune token revoke gpu-1",
]
"""Run in tests/papers/test_head.py."""

NOTIFYING = ["mnist-tune serve --notify https://chat.example.org/hooks/mnist-tune"]
"""Run with another address in tests/serve/notify/test_notified_head.py."""

GROWING = [
    "mnist-tune extend seed-grid --add learning_rate=0.003 --dry-run",
    "mnist-tune extend seed-grid --add learning_rate=0.003",
    "mnist-tune extend seed-grid --add weight_decay=0.0001,0.001",
    "mnist-tune extend seed-grid --seeds +2 --top 3",
    "mnist-tune extend sampled --n-trials +50",
    "mnist-tune enqueue seed-grid learning_rate=0.002 batch_size=64 optimizer=Adam",
    "mnist-tune export seed-grid --output best.toml",
    "mnist-tune enqueue sampled --from best.toml",
    "mnist-tune import-trials sampled known.csv --dry-run",
    "mnist-tune import-trials sampled known.csv",
    "mnist-tune import-trials sampled --from-optuna sqlite:///old.db --study cnn",
    "mnist-tune set seed-grid limits.keep_last=true",
    "mnist-tune extend seed-grid --epochs 20",
]
"""Run on studies whose cells are completed by hand."""

CONFIRMING = [
    "mnist-tune confirm seed-grid --seeds 5",
    "mnist-tune worker seed-grid-confirm",
]
"""Run after a smaller search."""

ASKING_WORKERS = [
    "mnist-tune status seed-grid --workers",
    "mnist-tune pause seed-grid",
    "mnist-tune resume seed-grid",
    "mnist-tune drain seed-grid --host gpu-1",
    "mnist-tune cancel seed-grid",
    "mnist-tune copy-study seed-grid --from sqlite:///mnist-tune.db "
    "--to postgresql://tuner@database-host/studies",
    "mnist-tune retry seed-grid --failed",
    "mnist-tune verify seed-grid",
    "mnist-tune doctor",
]

LAUNCH_ON_RAY = "mnist-tune launch seed-grid --on ray --workers 8 --address auto"
LAUNCH_ON_SLURM = (
    "mnist-tune launch seed-grid --on slurm --workers 32 --time 240 --engine-option partition=long"
)
"""Run on fewer images in tests/launch/."""

DASHBOARDS = ["optuna-dashboard sqlite:///mnist-tune.db", "mnist-tune dashboard --read-only"]
"""Run in tests/system/test_stock_optuna.py and tests/dashboard/."""

CHECKS = [
    ".venv/bin/python -m tests.check",
    ".venv/bin/python -m tests.check marked",
]
"""Each step of them is taken in .ci/run."""

CAMPAIGNS = [
    "python -m tests.system.chaos --kills 10000 --harsh",
    "python -m tests.system.chaos --seeds 20 --postgres",
    "python -m tests.system.chaos --job function --kills 500",
    "python -m tests.system.chaos --job command --kills 500 --postgres",
    "python -m tests.system.chaos --head --kills 500",
    "python -m tests.system.chaos --head --job command --kills 200",
    "python -m tests.system.crash_points",
    "python -m tests.system.crash_points --postgres --every 3",
    "python -m tests.system.interrupted_heads",
]
"""Run for shorter in tests/system/."""
