"""What the papers say of specs and of files for other programs is so."""

from __future__ import annotations

import re
import tomllib

import yaml

from mnist_tune.errors import MISTAKE, STOPPED
from mnist_tune.serve.client import TOKEN_VARIABLE
from mnist_tune.spec.pruner_options import PRUNERS
from mnist_tune.spec.reading import load_spec
from mnist_tune.spec.sections import Confirm, Replicates
from mnist_tune.spec.shipped import shipped_specs
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from tests.papers.papers import LAUNCH_README, STUDIES_README, WORKERS_README, blocks, text_of
from tests.support.commands import Command
from tests.support.made_studies.results import mnist_spec
from tests.support.specs import STUDIES, MnistSpec


def test_the_studies_that_are_shown_are_the_shipped_ones() -> None:
    for block, name in zip(blocks(STUDIES_README, "toml"), ["seed-grid", "sampled"], strict=True):
        shipped = (STUDIES / f"{name}.toml").read_text(encoding="utf-8")
        assert mnist_spec(tomllib.loads(block)) == mnist_spec(tomllib.loads(shipped))


def test_every_shipped_study_is_in_the_table_of_them() -> None:
    for name in shipped_specs():
        assert f"| [{name}.toml]({name}.toml) |" in text_of(STUDIES_README)


def test_every_field_of_a_spec_stands_in_a_table() -> None:
    tables = {table: [section.annotation] for table, section in MnistSpec.model_fields.items()}
    stored_only = {"job.description", "search.revisions"}
    tables["pruner"] = list(PRUNERS.values())
    tables["replicates"] = [Replicates]
    tables["confirm"] = [Confirm]
    texts = text_of(STUDIES_README) + text_of(STUDIES / "settling.md")
    for table, models in tables.items():
        for field in [field for model in models if model is not None for field in model.model_fields]:
            key = f"{table}.{field}"
            assert f"`{key}" in texts or key in stored_only, key


def test_every_class_of_failure_that_has_a_budget_is_explained() -> None:
    for kind in type(load_spec(STUDIES / "quickstart.toml").retry).model_fields:
        assert f"\n| `{kind}` |" in text_of(WORKERS_README), kind


def test_the_grid_with_early_stopping_is_the_reference_grid() -> None:
    full, early = (load_spec(STUDIES / f"{name}.toml") for name in ("seed-grid", "pruned-grid"))
    assert (early.search, early.training, early.data) == (full.search, full.training, full.data)


def test_the_job_for_kubernetes_does_with_each_exit_code_what_it_means(command: Command) -> None:
    paper = text_of(LAUNCH_README)
    (block,) = blocks(LAUNCH_README, "yaml")
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
    assert worker["envFrom"] == [{"secretRef": {"name": "mnist-tune"}}]
    made = re.search(
        "`kubectl create\\s+secret generic\\s+mnist-tune --from-env-file=FILE`, with (.*)", paper
    )
    assert made is not None
    assert re.findall(r"`(\w+)=\.\.\.`", made[1]) == [ENVIRONMENT_VARIABLE, TOKEN_VARIABLE]
    program, *arguments = worker["command"]
    answer = command(*arguments)
    assert program == "mnist-tune"
    assert (answer.code, "studies.db: no such file" in answer.err) == (
        MISTAKE,
        True,
    )  # but for that it would run
