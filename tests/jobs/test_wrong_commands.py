"""Mistakes in a command and in its spec get one line each; a command that ends wrongly fails its trial."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_jobs import DECAY_SPEC, command_job, results_in
from tests.support.commands import Command, finish, start_command

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
    "no report": (
        "pass",
        "exception",
        "the command reported no epoch: it wrote nothing to $MNIST_TUNE_REPORT",
    ),
    "an exit code": ("print('no data'); sys.exit(3)", "exception", "the command exited with 3: no data"),
    "a traceback": ("1 / 0", "exception", "the command exited with 1: ZeroDivisionError: division by zero"),
    "no memory": ("sys.exit('CUDA out of memory')", "out_of_memory", "the command exited with 1: CUDA out"),
    "a signal": ("os.kill(os.getpid(), 9)", "lost", "the command was killed by SIGKILL"),
    "a null\0": ("pass", "exception", "the command cannot be run: embedded null byte"),
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


@pytest.mark.slow
def test_each_way_to_end_wrongly_has_its_class_and_one_clear_reason(tmp_path: Path) -> None:
    spec = command_job(tmp_path, ENDING, ENDING_SPEC)
    answer = finish(start_command("run", str(spec), "--workers", "1", folder=tmp_path))
    assert answer.returncode == 1, answer.stderr
    failures = {one.parameters["case"]: one.failure or {} for one in results_in(tmp_path).attempts}
    for name, (_, kind, says) in ENDS.items():
        failure = failures[name]
        assert (failure["class"], says in failure["reason"].split("\n")[0]) == (kind, True), (name, failure)
    assert "ZeroDivisionError" in failures["a traceback"]["reason"].split("\n", 1)[1]


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
        ('unit = "rows"', 'pattern = "(?P<error>a{99999999999})"', "the repetition number is too large"),
        ('unit = "rows"', 'pattern = "(?P<loss>.)"', "has no group (?P<error>...) for the objective"),
        ("learning_rate = 0.1\n", "epochs = 3\nlearning_rate = 0.1\n", "comes with every job; set it in"),
        ("learning_rate = 0.1\n", "report = 3\nlearning_rate = 0.1\n", "has another meaning; rename it"),
        ("learning_rate = 0.1\n", 'learning_rate = {type = "float", default = "a"}\n', "default = 'a': "),
        (
            "learning_rate = 0.1\n",
            'learning_rate = {type = "float", high = 0.2}\n',
            "less than or equal to 0.2",
        ),
        *(
            (
                "learning_rate = 0.1\n",
                f"learning_rate = 0.1\nother = {{{given}}}\n",
                f"hyperparameters.other: {says}",
            )
            for given, says in {
                'type = "str", low = 1': "low and high are for numbers, not for type = 'str'",
                'type = "int", low = 0.5': "low and high of an int should be whole numbers",
                'type = "int", low = 5, high = 1': "low = 5 is above high = 1",
                'type = "int", choices = [1, "a"]': "choices: 'a' is no int",
            }.items()
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


def test_a_placeholder_that_some_trials_have_no_value_for_is_refused(
    tmp_path: Path, command: Command
) -> None:
    search = """[search]
sampler = "random"
n_trials = 2
[search.space]
optimizer = ["sgd", "adam"]
[search.space.momentum]
low = 0.1
high = 0.9
when = {optimizer = ["sgd"]}
[training]"""
    own = '[job.hyperparameters]\noptimizer = {type = "str"}\nmomentum = {type = "float"}\n'
    spec = DECAY_SPEC.replace("[search.grid]\nlearning_rate = [0.1, 0.5]\n\n[training]", search)
    spec = spec.replace("[job.hyperparameters]\n", own)
    asks = command_job(tmp_path, spec=spec.replace('"{args}"', '"{optimizer}", "{momentum}"'))
    answer = command("create-study", str(asks))
    assert (answer.code, answer.err.count("\n")) == (2, 1), answer.err
    assert "search.space.momentum: stands in the command, and some trials do not have it" in answer.err
    assert command("create-study", str(command_job(tmp_path, spec=spec))).code == 0


def test_a_program_that_is_missing_fails_no_trial(tmp_path: Path) -> None:
    spec = command_job(tmp_path, spec=DECAY_SPEC.replace('"python"', '"no-such-program"'))
    answer = finish(start_command("run", str(spec), "--workers", "1", folder=tmp_path))
    assert answer.returncode == 2
    assert "the study's command: there is no program 'no-such-program'" in answer.stderr + answer.stdout
    assert results_in(tmp_path).cells.waiting == 2
