"""A command as a job: run, killed, drained, pruned; and it runs only where somebody has allowed it."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.jobs.command.arguments import environment_of, filled_in
from mnist_tune.results.eta import own_epochs
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State
from mnist_tune.study.store import open_study
from tests.jobs.test_trust import change_spec
from tests.support.command_jobs import DECAY, DECAY_SPEC, command_job
from tests.support.commands import BY_EXEC, Command, finish, start_command
from tests.support.process_tree import descendants
from tests.support.studies import open_file
from tests.support.waiting import wait_until

EXPECTED = {0.1: [0.9, 0.81, 0.729], 0.5: [0.5, 0.25, 0.125]}


def results_in(folder: Path) -> Results:
    return read_results(open_study(open_file(folder), "decay"))


def run(spec: Path, folder: Path, *options: str, environment: dict[str, str] | None = None) -> str:
    line = ["run", str(spec), "--workers", "1", *options]
    answer = finish(start_command(*line, folder=folder, environment=environment))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def numbers_of(results: Results) -> dict[float, list[dict[str, Any]]]:
    """The epochs of each cell, without times."""
    return {
        attempt.parameters["learning_rate"]: [
            {name: value for name, value in epoch.numbers.items() if name in ("error", "luck")}
            for epoch in attempt.history
        ]
        for attempt in results.complete
    }


def one_cell(spec: str = DECAY_SPEC) -> str:
    return spec.replace("[0.1, 0.5]", "[0.5]")


def test_a_command_is_searched_as_a_function_is(tmp_path: Path, command: Command) -> None:
    run(command_job(tmp_path), tmp_path)
    results = results_in(tmp_path)
    found = {rate: [one["error"] for one in epochs] for rate, epochs in numbers_of(results).items()}
    assert found == {rate: pytest.approx(values) for rate, values in EXPECTED.items()}
    assert results.best is not None
    assert results.best.parameters == {"learning_rate": 0.5}
    assert all("model.txt" in attempt.artifacts for attempt in results.complete)
    assert all(attempt.environment["job_sha256"] for attempt in results.complete)
    assert "rows/s" in command("status", "decay").out
    assert command("verify", "decay").code == 0
    exported = command("export", "decay").out
    assert 'command = [\n    "python",\n    "decay.py"' in exported
    assert command("report", "decay", "--output", str(tmp_path / "report.html")).code == 0
    assert not list(tmp_path.glob("mnist-tune-*"))


def test_a_command_that_is_killed_anywhere_in_an_epoch_ends_with_the_same_numbers(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(command_job(whole), whole)
    spec = command_job(killed)
    (killed / "kill").touch()
    run(spec, killed)
    found = results_in(killed)
    assert numbers_of(found) == numbers_of(results_in(whole))
    failed = [attempt.failure for attempt in found.attempts if attempt.failure]
    assert {failure["class"] for failure in failed} == {"lost"}
    assert len(failed) == 2 * 3 * 3  # cells, epochs, places
    assert finish(start_command("verify", "decay", folder=killed)).returncode == 0


def test_a_worker_that_is_killed_leaves_no_command_and_no_folder(tmp_path: Path) -> None:
    finish(start_command("create-study", str(command_job(tmp_path)), folder=tmp_path))
    (tmp_path / "temporary").mkdir()
    environment = {"PAUSE": "600", "TMPDIR": str(tmp_path / "temporary")}
    line = ["worker", "decay", "--allow-command", "."]
    for victim in ("worker", "training"):
        worker = start_command(*line, folder=tmp_path, environment=environment | dict(BY_EXEC))
        wait_until(lambda: scripts_in(tmp_path) != [])  # of the other cell, the second time
        (script,) = scripts_in(tmp_path)
        if victim == "worker":
            worker.kill()
        else:
            (training,) = [pid for pid in descendants(worker.pid) if "training" in command_line(pid)]
            os.kill(training, signal.SIGKILL)
        wait_until(partial(is_gone, script))
        worker.kill()
        finish(worker)
        wait_until(lambda: not list((tmp_path / "temporary").glob("mnist-tune-*")))
        assert scripts_in(tmp_path) == []


def has_an_epoch(folder: Path) -> bool:
    """Whether a trial runs and has done an epoch of its own."""
    return any(
        attempt.state == State.RUNNING and own_epochs(attempt) for attempt in results_in(folder).attempts
    )


def scripts_in(folder: Path) -> list[int]:
    """The processes that run the script in this folder."""
    found = []
    for path in Path("/proc").iterdir():
        with suppress(OSError):
            if path.name.isdecimal() and (path / "cwd").readlink() == folder:
                found.append(int(path.name))
    return [pid for pid in found if "decay.py" in command_line(pid)]


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


SAVES_WHEN_TOLD = DECAY.replace(
    "state = Path(",
    """
def leave(*_: object) -> None:
    print("saves within an epoch")
    state.write_text(json.dumps([error, luck + 1, epoch + 1]))
    sys.exit(0)

signal.signal(signal.SIGTERM, leave)
state = Path(""",
)


@pytest.mark.parametrize(("script", "luck"), [(DECAY, 0), (SAVES_WHEN_TOLD, 1)], ids=["unaware", "saves"])
def test_a_drained_command_goes_on_from_what_it_has_saved(tmp_path: Path, script: str, luck: int) -> None:
    whole, drained = tmp_path / "whole", tmp_path / "drained"
    run(command_job(whole, spec=one_cell()), whole)
    spec = command_job(drained, script, one_cell().replace("checkpoint_interval = 0", ""))
    finish(start_command("create-study", str(spec), folder=drained))
    line = ["worker", "decay", "--allow-command", "."]
    worker = start_command(*line, folder=drained, environment={"PAUSE": "600"})
    wait_until(lambda: has_an_epoch(drained))
    worker.terminate()
    answer = finish(worker)
    assert answer.returncode == 3, answer.stdout + answer.stderr
    assert finish(start_command(*line, folder=drained)).returncode == 0
    results = results_in(drained)
    first, second = results.attempts
    assert (first.failure or {})["class"] == "preempted"
    assert (second.resumed or {})["epoch"] == 1
    expected = numbers_of(results_in(whole))[0.5]
    found = numbers_of(results)[0.5]
    assert [one["error"] for one in found] == [one["error"] for one in expected]
    # The script that saves when it is told to leave has written another state than after the epoch.
    assert (found[1]["luck"] != expected[1]["luck"]) == bool(luck)
    assert finish(start_command("verify", "decay", folder=drained)).returncode == 0


PRINTS = """
import sys
print("begins", file=sys.stderr)
for epoch in range(1, 4):
    print(f"[{epoch}] training: loss={1 / epoch:.3f}")
    print(f"[{epoch}] validation: error={2 / epoch:.3f}", file=sys.stderr)
"""
PATTERNS = r"""pattern = [
    'training: loss=(?P<loss>\S+)',
    '\[(?P<epoch>\d+)\] validation: error=(?P<error>\S+)',
]
objective = "error"
"""


def test_metrics_are_found_in_what_a_script_prints_that_knows_nothing(tmp_path: Path) -> None:
    spec = one_cell(DECAY_SPEC.replace('objective = "error"\n', PATTERNS)).replace(', "{args}"', "")
    run(command_job(tmp_path, PRINTS, spec), tmp_path)
    (attempt,) = results_in(tmp_path).complete
    assert [(epoch["loss"], epoch["error"]) for epoch in attempt.history] == [
        (1.0, 2.0),
        (0.5, 1.0),
        (0.333, 0.667),
    ]


ENDS = {
    "no json": ("report('epoch 1: 0.5')", "exception", "is no line of JSON"),
    "a list": ("report('[1]')", "exception", 'should be like {"epoch": 1, "error": 0.5}'),
    "an epoch too many": ("done(1); done(2)", "exception", "it reports more epochs than its epochs = 1"),
    "an epoch too late": ("done(2)", "exception", "it reports epoch 2 first"),
    "no objective": ("report('{\"loss\": 1}')", "exception", "'error', the job's objective, is missing"),
    "text": ('report(\'{"error": "low"}\')', "exception", "error should be a number, not str"),
    "a bad name": ('report(\'{"error": 1, "a b": 1}\')', "exception", "'a b' is no name of a metric"),
    "nan": ("report('{\"error\": NaN}')", "non_finite", "error is nan in epoch 1"),
    "a huge number": ("report('{\"error\": 1' + '0' * 400 + '}')", "non_finite", "error is inf in epoch 1"),
    "no report": ("pass", "exception", "the training ended before its first epoch"),
    "an exit code": ("print('no data'); sys.exit(3)", "exception", "the command exited with 3: no data"),
    "a traceback": ("1 / 0", "exception", "the command exited with 1: ZeroDivisionError: division by zero"),
    "no memory": ("sys.exit('CUDA out of memory')", "out_of_memory", "the command exited with 1: CUDA out"),
    "a signal": ("os.kill(os.getpid(), 9)", "lost", "the command was killed by SIGKILL"),
    "a crash": ("os.abort()", "exception", "the command was killed by SIGABRT"),
}
ENDING = """
import json, os, sys
def report(line):
    with open(os.environ["MNIST_TUNE_REPORT"], "a") as file:
        print(line, file=file)
def done(epoch):
    report(json.dumps({"epoch": epoch, "error": 1.0}))
case = sys.argv[1]
""" + "\n".join(f"if case == {name!r}:\n    {code}" for name, (code, _, _) in ENDS.items())
ENDING_SPEC = f"""
[study]
name = "decay"
[job]
command = ["python", "decay.py", "{{case}}"]
objective = "error"
direction = "minimize"
[job.hyperparameters]
case = {{type = "str"}}
[search.grid]
case = {json.dumps(list(ENDS))}
[training]
epochs = 1
[retry]
exception = 0
non_finite = 0
out_of_memory = 0
lost = 0
[limits]
failures_in_a_row = 0
"""


def test_each_way_to_end_wrongly_has_its_class_and_one_clear_reason(tmp_path: Path) -> None:
    spec = command_job(tmp_path, ENDING, ENDING_SPEC)
    answer = finish(start_command("run", str(spec), "--workers", "1", folder=tmp_path))
    assert answer.returncode == 1, answer.stderr
    failures = {one.parameters["case"]: one.failure or {} for one in results_in(tmp_path).attempts}
    for name, (_, kind, says) in ENDS.items():
        failure = failures[name]
        assert (failure["class"], says in failure["reason"].split("\n")[0]) == (kind, True), (name, failure)
    assert "ZeroDivisionError" in failures["a traceback"]["reason"].split("\n", 1)[1]


def test_a_command_whose_reports_have_no_epoch_begins_anew_after_a_loss(tmp_path: Path) -> None:
    script = DECAY.replace('"epoch": epoch, ', "").replace("state.exists()", "False")
    (tmp_path / "kill").touch()
    run(command_job(tmp_path, script, one_cell()), tmp_path)
    results = results_in(tmp_path)
    assert [epoch["error"] for epoch in results.complete[0].history] == EXPECTED[0.5]
    assert all(own_epochs(attempt) == attempt.history for attempt in results.attempts)
    logs = finish(start_command("logs", "decay", "--trial", "9", folder=tmp_path)).stdout
    assert "its reports have no number of the epoch: after a loss, a trial begins anew" in logs


def test_a_saved_state_with_which_the_command_fails_is_given_up(tmp_path: Path) -> None:
    script = DECAY.replace("json.loads(state.read_text())", "json.loads('torn')")
    (tmp_path / "kill").touch()
    for epoch in (1, 3):
        for place in ("within", "saved", "after"):
            (tmp_path / f"0.5-{epoch}-{place}").touch()
    run(command_job(tmp_path, script, one_cell()), tmp_path)
    results = results_in(tmp_path)
    assert [epoch["error"] for epoch in results.complete[0].history] == EXPECTED[0.5]
    problem = (results.complete[0].resumed or {})["problem"]
    assert problem.startswith("with its saved state, the command exited with 1: json.decoder.JSONDecodeError")


def test_a_pruned_command_is_ended(tmp_path: Path) -> None:
    pruner = '\n[pruner]\nname = "median"\nn_startup_trials = 1\nn_warmup_steps = 1\n'
    becomes_worse = (
        DECAY.replace("error, luck, first = 1.0", "error, luck, first = worse(), options.seed, 1")
        .replace(
            "state = Path(",
            """
def worse() -> float:
    runs = here / "runs"
    runs.touch()
    runs.write_text(runs.read_text() + "x")
    return float(10 ** len(runs.read_text()))

state = Path(""",
        )
        .replace("worse(), options.seed, 1, options.seed, 1", "worse(), options.seed, 1")
    )
    spec = command_job(tmp_path, becomes_worse, DECAY_SPEC + pruner)
    finish(start_command("create-study", str(spec), folder=tmp_path))
    line = ["worker", "decay", "--allow-command", ".", "--max-trials", "1"]
    finish(start_command(*line, folder=tmp_path))
    answer = finish(start_command(*line, folder=tmp_path, environment={"PAUSE": "1"}))
    assert answer.returncode == 0, answer.stderr
    assert [attempt.state for attempt in results_in(tmp_path).attempts] == [State.COMPLETE, State.PRUNED]


def test_a_command_runs_only_where_it_is_allowed(tmp_path: Path, command: Command) -> None:
    assert command("create-study", str(command_job(tmp_path))).code == 0
    answer = finish(start_command("worker", "decay", folder=tmp_path))
    assert (answer.returncode, answer.stderr) == (
        2,
        "mnist-tune: the study's job is a command: python decay.py {args}; if you trust it, say in which "
        "folder it is to be run: --allow-command FOLDER\n",
    )
    answer = finish(start_command("worker", "decay", "--job", "decay.py:train", folder=tmp_path))
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    allowed = finish(start_command("worker", "decay", "--allow-command", str(tmp_path), folder=tmp_path))
    assert allowed.returncode == 0, allowed.stderr
    assert f"runs in {tmp_path}: python decay.py {{args}}" in allowed.stdout


def test_a_run_does_not_run_a_command_that_was_changed_in_its_database(
    tmp_path: Path, command: Command
) -> None:
    spec = command_job(tmp_path)
    assert command("create-study", str(spec)).code == 0
    from mnist_tune.jobs.command.permitted import digest
    from mnist_tune.spec.reading import load_spec

    known = digest(load_spec(spec).job)
    assert known is not None
    change_spec(tmp_path / "studies.db", {"command": ["touch", "was-run"]})
    line = ["worker", "decay", "--allow-command", ".", "--command-digest", known]
    answer = finish(start_command(*line, folder=tmp_path))
    assert answer.returncode == 2
    assert answer.stderr == (
        "mnist-tune: the study's command is not the one of its spec any more: touch was-run; create the "
        "study anew, under another name\n"
    )
    assert finish(start_command("run", str(spec), folder=tmp_path)).returncode == 2
    assert not list(tmp_path.rglob("was-run"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("learning_rate = 0.1\n", "rate = 0.1\n", "learning_rate: unknown training field; write one of"),
        ('"{args}"', '"{width}"', "{width} is no hyperparameter; write 'width = DEFAULT' under"),
        ('objective = "error"\n', "", "job: objective: missing"),
        ('direction = "minimize"', 'direction = "down"', "job: direction: 'down' is not known"),
        ('unit = "rows"', 'unti = "rows"', "job: unti: unknown key; did you mean 'unit'?"),
        ('unit = "rows"', 'name = "mnist"', "write either command = [...], or name, or file"),
        ('unit = "rows"', 'pattern = "("', "is no regular expression"),
        ('unit = "rows"', 'pattern = "(?P<loss>.)"', "has no group (?P<error>...) for the objective"),
        ("learning_rate = 0.1\n", "epochs = 3\nlearning_rate = 0.1\n", "comes with every job; set it in"),
        ("learning_rate = 0.1\n", "report = 3\nlearning_rate = 0.1\n", "has another meaning; rename it"),
        ("learning_rate = 0.1\n", 'learning_rate = {type = "float", default = "a"}\n', "default = 'a': "),
        (
            "learning_rate = 0.1\n",
            'learning_rate = {type = "float", high = 0.2}\n',
            "less than or equal to 0.2",
        ),
        ('command = ["python", "decay.py", "{args}"]', "command = []", "job: command: "),
        ('command = ["python", "decay.py", "{args}"]', 'command = "python"', "job: command: "),
    ],
)
def test_a_mistake_in_the_spec_of_a_command_is_one_line(
    tmp_path: Path, command: Command, old: str, new: str, says: str
) -> None:
    assert old in DECAY_SPEC
    answer = command("create-study", str(command_job(tmp_path, spec=DECAY_SPEC.replace(old, new))))
    assert (answer.code, answer.out) == (2, ""), answer.err
    assert says in answer.err
    assert answer.err.count("\n") == 1


def test_a_program_that_is_missing_fails_no_trial(tmp_path: Path) -> None:
    spec = command_job(tmp_path, spec=DECAY_SPEC.replace('"python"', '"no-such-program"'))
    answer = finish(start_command("run", str(spec), "--workers", "1", folder=tmp_path))
    assert answer.returncode == 2
    assert "the study's command: there is no program 'no-such-program'" in answer.stderr + answer.stdout
    assert results_in(tmp_path).cells.waiting == 2


def test_the_command_gets_its_parameters_its_paths_and_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_TUNE_STORAGE", "postgresql://me:secret@host/studies")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    paths = {"report": tmp_path / "report", "checkpoints": tmp_path / "checkpoints"}
    known = {"rate": 1e-05, "name": "a b", "nesterov": True, "epochs": 3}
    assert filled_in(["{args}", "--x={rate}", '{"a": {"b": 1}}', "{checkpoints}/x"], known, paths) == [
        "--rate=1e-05",
        "--name=a b",
        "--nesterov=true",
        "--epochs=3",
        "--x=1e-05",
        '{"a": {"b": 1}}',
        f"{tmp_path}/checkpoints/x",
    ]
    environment = environment_of(paths, "cuda:1", 2)
    assert "secret" not in json.dumps(environment)
    assert environment["MNIST_TUNE_REPORT"] == str(tmp_path / "report")
    assert (environment["CUDA_VISIBLE_DEVICES"], environment["MNIST_TUNE_DEVICE"]) == ("7", "cuda")
    assert environment_of(paths, "cpu", 2)["CUDA_VISIBLE_DEVICES"] == ""


def test_the_command_does_not_ignore_signals(tmp_path: Path) -> None:
    script = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
masks = {name: int(status[name], 16) & 0x4003 for name in ("SigIgn", "SigBlk")}
with open(os.environ["MNIST_TUNE_REPORT"], "w") as report:
    print(json.dumps({"error": sum(masks.values())}), file=report)
"""
    spec = one_cell().replace(', "{args}"', "").replace("epochs = 3", "epochs = 1")
    run(command_job(tmp_path, script, spec), tmp_path)
    assert [attempt.value for attempt in results_in(tmp_path).complete] == [0.0]
