"""The README's commands are the ones that work: each is run by a test, and none is left out."""

from __future__ import annotations

import json
import re
import shlex
import statistics
import tomllib
from pathlib import Path

import pytest
import yaml

from mnist_tune.errors import MISTAKE, STOPPED
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.spec.pruner_options import PRUNERS
from mnist_tune.spec.study_spec import Spec, load_spec
from mnist_tune.storage.engine import ENVIRONMENT_VARIABLE, storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.store import open_study
from mnist_tune.text.wording import parameter
from tests.conftest import Command
from tests.support.studies import STUDIES, finish, start_command

ROOT = STUDIES.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every line of every bash block."""
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


SET_UP = [
    "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/mnist-tune run studies/quickstart.toml",
    "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/python -m pytest",
]
"""Run as they stand in .ci/run (the second) and, from the venv on, below (the first)."""

FROM_THE_SEARCH_TO_A_MODEL = [
    "mnist-tune run studies/quickstart.toml",
    "mnist-tune status quickstart",
    "mnist-tune export quickstart --output best.toml",
    "mnist-tune train best.toml --output models/best",
    "mnist-tune evaluate models/best",
    "mnist-tune report quickstart --model models/best",
    "mnist-tune status quickstart --watch",
    "mnist-tune logs quickstart --trial 5",
    "mnist-tune report quickstart --output report.html",
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

MORE_SEEDS = [
    "mnist-tune create-study studies/replicates.toml --reuse quickstart",
    "mnist-tune run studies/replicates.toml",
]
TUTORIAL = [
    "mnist-tune run studies/quickstart.toml",
    *MORE_SEEDS,
    "mnist-tune report replicates --output replicates.html",
    "createuser --pwprompt tuner",
    "createdb --owner tuner studies",
    "export MNIST_TUNE_STORAGE=postgresql://tuner@database-host/studies",
    "mnist-tune doctor",
    "mnist-tune copy-study replicates --from sqlite:///mnist-tune.db "
    "--to postgresql://tuner@database-host/studies",
    "mnist-tune create-study studies/seed-grid.toml",
    "mnist-tune worker seed-grid",
    "mnist-tune run studies/seed-grid.toml",
    "mnist-tune status seed-grid --watch",
    "mnist-tune dashboard --read-only",
    "mnist-tune drain seed-grid --host gpu-2",
    "mnist-tune export seed-grid --output seed-grid-best.toml",
    "mnist-tune report seed-grid --output seed-grid.html",
    "mnist-tune verify seed-grid",
]
"""Run on a real server, with smaller studies, in test_tutorial.py."""

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
"""Run on fewer images in test_launch_on_ray.py and test_launch_on_slurm.py."""

DASHBOARDS = ["optuna-dashboard sqlite:///mnist-tune.db", "mnist-tune dashboard --read-only"]
"""Run in test_stock_optuna.py and test_dashboard.py."""


def test_every_command_of_the_readme_is_one_that_a_test_runs() -> None:
    tested = [
        *SET_UP,
        *FROM_THE_SEARCH_TO_A_MODEL[1:],
        *THE_REFERENCE_GRID,
        *BEYOND_IT,
        *MORE_SEEDS,
        *TUTORIAL,
    ]
    launches = [LAUNCH_ON_RAY, LAUNCH_ON_SLURM]
    assert sorted(commands()) == sorted([*tested, *ASKING_WORKERS, *launches, *DASHBOARDS])


def test_the_set_up_is_one_line_each() -> None:
    assert [command for command in commands() if "venv" in command] == SET_UP


def test_the_readmes_studies_are_the_shipped_ones() -> None:
    shown = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    for block, name in zip(shown, ["seed-grid", "sampled"], strict=True):
        shipped = (STUDIES / f"{name}.toml").read_text(encoding="utf-8")
        assert Spec.model_validate(tomllib.loads(block)) == Spec.model_validate(tomllib.loads(shipped))


def test_the_job_for_kubernetes_does_with_each_exit_code_what_it_means(command: Command) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    job = yaml.safe_load(block)
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert job["spec"]["parallelism"] == 8
    assert "completions" not in job["spec"]  # or the Job would wait for so many workers to end well
    rules = job["spec"]["podFailurePolicy"]["rules"]
    by_code = {
        code: rule["action"] for rule in rules for code in rule.get("onExitCodes", {}).get("values", [])
    }
    assert by_code == {MISTAKE: "FailJob", STOPPED: "Ignore"}  # the others count towards the limit
    pod = job["spec"]["template"]["spec"]
    (worker,) = pod["containers"]
    assert {rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule} == {
        worker["name"]
    }
    assert pod["restartPolicy"] == "Never"  # without which Kubernetes takes no podFailurePolicy
    assert pod["terminationGracePeriodSeconds"] >= 60
    assert [variable["name"] for variable in worker["env"]] == [ENVIRONMENT_VARIABLE]
    assert worker["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "mnist-tune"
    program, *arguments = worker["command"]
    answer = command(*arguments)
    assert program == "mnist-tune"
    assert (answer.code, "studies.db: no such file" in answer.err) == (
        MISTAKE,
        True,
    )  # but for that it would run


def test_every_field_of_a_spec_stands_in_the_readmes_table() -> None:
    tables = {table: [section.annotation] for table, section in Spec.model_fields.items()}
    tables["pruner"] = list(PRUNERS.values())
    for table, models in tables.items():
        for field in [field for model in models if model is not None for field in model.model_fields]:
            assert f"`{table}.{field}" in README, f"{table}.{field}"


def test_every_file_the_readme_points_to_is_there() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert "studies/quickstart.png" in targets
    for target in targets:
        assert (ROOT / target).is_file(), target


def test_the_readmes_results_are_the_stored_ones() -> None:
    stored = json.loads((STUDIES / "seed-grid-results.json").read_text(encoding="utf-8"))
    for trial in stored["trials"]:
        parameters, last = trial["parameters"], trial["history"][-1]
        row = (
            f"| {parameters['learning_rate']} | {parameters['batch_size']} | {parameters['optimizer']} "
            f"| {trial['value']:.2f} % | {last['validation_loss']:.4f} | {last['training_loss']:.4f} |"
        )
        assert row in README
    accuracies = [run["test_accuracy"] for run in stored["winner_on_all_images"]]
    assert f"**{statistics.mean(accuracies):.2f} % test accuracy on average**" in README
    assert f"standard deviation {statistics.stdev(accuracies):.2f}, n = {len(accuracies)}" in README


def test_the_grid_with_early_stopping_is_the_reference_grid() -> None:
    full, early = (load_spec(STUDIES / f"{name}.toml") for name in ("seed-grid", "pruned-grid"))
    assert (early.search, early.training, early.data) == (full.search, full.training, full.data)


def test_the_readmes_results_beyond_the_grid_are_the_stored_ones() -> None:
    stored = json.loads((STUDIES / "beyond-results.json").read_text(encoding="utf-8"))
    for trial in stored["trials"]:
        if trial["state"] == "complete":
            values = " | ".join(parameter(value) for value in trial["parameters"].values())
            assert f"| {trial['number']} | {values} | {trial['value']:.2f} % |" in README
    assert stored["cells"]["complete"] == 3
    accuracies = [run["test_accuracy"] for run in stored["winner_on_all_images"]]
    mean, deviation = statistics.mean(accuracies), statistics.stdev(accuracies)
    each = ", ".join(f"{accuracy:.2f}" for accuracy in accuracies)
    assert f"| beyond | **{mean:.2f} %** | {each} | {deviation:.2f} |" in README
    epochs = sum(len(trial["history"]) for trial in stored["trials"])
    assert f"| {epochs} epochs of {len(stored['trials']) * 15}, " in README


def run_in(folder: Path, lines: list[str]) -> list[str]:
    """Run commands one after another in a folder with `studies/`; what each printed."""
    (folder / "studies").symlink_to(STUDIES)
    printed = []
    for line in lines:
        answer = finish(start_command(*shlex.split(line)[1:], folder=folder, url="sqlite:///mnist-tune.db"))
        assert (answer.returncode, answer.stderr) == (0, ""), line
        printed.append(answer.stdout)
    return printed


def test_the_commands_that_ask_workers_work_as_they_stand(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_TUNE_STORAGE", "sqlite:///mnist-tune.db")
    monkeypatch.setattr("socket.gethostname", lambda: "gpu-1")
    assert command("create-study", str(STUDIES / "seed-grid.toml")).code == 0
    study = open_study(open_storage(storage_url()), "seed-grid")
    Registration(study.storage, study.study_id, "cuda:0").register()
    for line in ASKING_WORKERS:
        there = line.replace("postgresql://tuner@database-host/studies", "sqlite:///server.db")
        answer = command(*shlex.split(there)[1:])
        assert (answer.code, answer.err) == (0, ""), line


@pytest.mark.slow
def test_the_way_from_the_search_to_a_model_works_as_it_stands(tmp_path: Path, mnist_directory: Path) -> None:
    printed = run_in(tmp_path, FROM_THE_SEARCH_TO_A_MODEL)
    accuracy = re.search(r"test accuracy ([\d.]+) %", printed[4])
    assert accuracy is not None
    assert float(accuracy[1]) > 97
    metrics = json.loads((tmp_path / "models" / "best" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["images"] == 60_000
    assert str(mnist_directory) in printed[FROM_THE_SEARCH_TO_A_MODEL.index("mnist-tune data check")]


def smaller(name: str, folder: Path, lines: list[str]) -> list[str]:
    """Run commands on a study with a hundredth of the images and few epochs; what each printed."""
    (folder / "mine").mkdir()
    text = (STUDIES / f"{name}.toml").read_text(encoding="utf-8")
    text = re.sub(r"^epochs = \d+", "epochs = 1" if name == "seed-grid" else "epochs = 2", text, flags=re.M)
    for longer, shorter in (("min_resource = 3", "min_resource = 1"), ("factor = 3", "factor = 2")):
        text = text.replace(longer, shorter)
    text = text.replace("= 50000", "= 500").replace("= 10000", "= 500")
    text = text.replace("n_trials = 18", "n_trials = 6\nn_startup_trials = 3")
    (folder / "mine" / f"{name}.toml").write_text(text, encoding="utf-8")
    return run_in(folder, [line.replace("studies/", "mine/") for line in lines])


@pytest.mark.slow
def test_the_reference_grids_commands_work_on_a_smaller_study(tmp_path: Path) -> None:
    printed = smaller("seed-grid", tmp_path, THE_REFERENCE_GRID)
    assert json.loads(printed[-1])["accuracy"] > 90


@pytest.mark.slow
def test_the_commands_beyond_the_grid_work_on_a_smaller_study(tmp_path: Path) -> None:
    printed = smaller("beyond", tmp_path, BEYOND_IT)
    assert json.loads(printed[3])["accuracy"] > 97
    assert "6/6 cells" in printed[0]
