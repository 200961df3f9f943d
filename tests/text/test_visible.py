"""Stored and typed text reaches a terminal or a page only with its control and hidden characters escaped."""

from __future__ import annotations

import io
import json
import logging
import re
import warnings
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text
from sqlalchemy import insert

from mnist_tune.contract.study import WorkerFacts, new_token
from mnist_tune.failures import Failure
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.spec.documents import dump, to_json
from mnist_tune.spec.imports import Import, ResultElsewhere
from mnist_tune.spec.parsing import parse
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.storage.keys import CHECKPOINT, ENVIRONMENT, IMPORTED, LOG, REUSED, SPEC, WORKER
from mnist_tune.storage.optuna_internals import parameters, studies, study_attributes, system_attributes
from mnist_tune.storage.statements import put
from mnist_tune.storage.tables import workers
from mnist_tune.study.imports import import_results
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.terminal.events import events
from mnist_tune.text.console import VisibleConsole
from mnist_tune.text.log_handler import StandardError
from tests.support.clean_text import is_clean
from tests.support.commands import Command
from tests.support.made_studies.epochs import made_epochs
from tests.support.specs import TWO_CELLS, write_spec
from tests.support.studies import new_study, take

OSC = "\x1b]52;c;ZXZpbA==\x07"
"""A sequence that has a terminal write its clipboard."""
HOSTILE = f"[bold]{OSC}\x9b31m\x7f\u202e\u2066evil\u200b\u2060\ufeff\u00ad\u2028\u0085\u3164\r[/bold]:smile:"
SHOWN = (
    r"[bold]\x1b]52;c;ZXZpbA==\x07\x9b31m\x7f\u202e\u2066evil"
    r"\u200b\u2060\ufeff\xad\u2028\x85\u3164\r[/bold]:smile:"
)


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    """A complete trial, a failed one with its retry, a worker, another study: all of them hostile."""
    study = new_study(tmp_path, TWO_CELLS)
    queue = study.queue()
    complete, failed = take(queue), take(queue)
    files = {"log.txt": f"{HOSTILE}\nsecond line\n".encode()}
    pointers = upload(ArtifactFolder(tmp_path / "studies-artifacts"), complete.token, files)
    notes = {ENVIRONMENT: {HOSTILE: HOSTILE, "device_name": HOSTILE}}
    queue.complete(complete, 90.0, user=notes, system=pointers, epochs=made_epochs([90.0]))
    assert queue.give_back(failed, Failure("exception", f"{HOSTILE}\nTraceback\n\t{HOSTILE}"))
    with study.storage.transaction() as session:
        put(session, complete.trial_id, user={WORKER: HOSTILE, REUSED: {"study": HOSTILE, "trial": HOSTILE}})
        put(session, failed.trial_id, user={WORKER: HOSTILE, ENVIRONMENT: {"device_name": HOSTILE}})
        put(session, failed.trial_id, system={LOG: f"{HOSTILE}\n", CHECKPOINT: {"key": HOSTILE}})
        axis = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": [HOSTILE]}})
        row = {"param_name": HOSTILE, "param_value": 0.0, "distribution_json": axis}
        for trial_id in (complete.trial_id, failed.trial_id):
            session.execute(insert(parameters).values(row | {"trial_id": trial_id}))
        session.execute(insert(studies).values(study_name=HOSTILE))
    _import_from_hostile(study)
    registration = Registration(study.storage, study.study_id, WorkerFacts.of_this_process(HOSTILE))
    registration.register()
    Registration(study.storage, study.study_id, WorkerFacts.of_this_process(HOSTILE)).register()
    registration.leave(HOSTILE)
    with study.storage.transaction() as session:
        session.execute(workers.update().values(name=HOSTILE, host=HOSTILE))
    return study


def _import_from_hostile(study: OpenStudy) -> None:
    """Give the study a result that is better than its best, from a source with a hostile name."""
    one = ResultElsewhere(parameters={"learning_rate": 0.001}, value=99.0)
    import_results(study, Import(source="known.csv", results=[one]), new_token())
    with study.storage.transaction() as session:
        told = {"id": "0" * 32, "source": HOSTILE, "when": HOSTILE[:40], "version": HOSTILE}
        is_it = system_attributes.c.key == IMPORTED
        session.execute(system_attributes.update().where(is_it).values(value_json=json.dumps(told)))


COMMANDS = [
    "status tiny",
    "status tiny --workers",
    "status tiny --json",
    "logs tiny",
    "logs tiny --trial 1",
    "logs tiny --json",
    "verify tiny",
    "verify tiny --json",
    "export tiny",
    "export tiny --format yaml",
    "export tiny --format json",
    "report tiny",
    "studies",
    "studies --json",
    "doctor",
    "drain tiny --worker nobody",
    "drain tiny --worker HOSTILE",
    "pause tiny",
    "retry tiny",
    "copy-study tiny --to sqlite:///copy.db",
    "create-study spec.toml --reuse HOSTILE --name other",
    "import-trials tiny HOSTILE.csv",
    "import-trials tiny --from-optuna sqlite:///HOSTILE",
    "import-trials tiny --from-optuna sqlite:///studies.db --study HOSTILE",
    "status HOSTILE",
    "status tino",
    "verify HOSTILE",
    "delete-study HOSTILE --yes",
    "status tiny --HOSTILE",
    "logs tiny --trial HOSTILE",
    "status tiny HOSTILE",
    "HOSTILE",
    "run HOSTILE",
    "run unknown.toml",
    "run evil.toml",
    "train HOSTILE",
    "evaluate HOSTILE",
    "report tiny --output HOSTILE/report.html",
    "report tiny --model HOSTILE",
    "data check --data-dir HOSTILE",
    "studies --storage sqlite:///HOSTILE",
    "studies --storage HOSTILE",
    "--debug status HOSTILE",
    "dashboard --host HOSTILE",
    "launch tiny --engine HOSTILE",
    "delete-study tiny --files --yes",
]


@pytest.mark.usefixtures("study")
def test_no_command_prints_what_a_terminal_obeys(tmp_path: Path, command: Command) -> None:
    write_spec(tmp_path, TWO_CELLS)
    write_spec(tmp_path, f"{TWO_CELLS}\n[{json.dumps(HOSTILE)}]\n", "unknown.toml")
    write_spec(tmp_path, TWO_CELLS + HOSTILE, "evil.toml")
    told = {}
    for line in COMMANDS:
        answer = command(*(HOSTILE.join(word.split("HOSTILE")) for word in line.split()))
        told[line] = answer.out + answer.err
        assert is_clean(told[line]), line
        assert "a bug of mnist-tune" not in told[line], line
    for line in ("status tiny", "status tiny --workers", "logs tiny", "verify tiny", "run HOSTILE"):
        assert r"\x1b" in told[line], line
    assert SHOWN in told["logs tiny"]
    assert f"of {SHOWN}; the best has 99.00 %" in told["status tiny"]
    assert f"\ntrial 1: {' ' * 8}{SHOWN}\n" in told["logs tiny"]


@pytest.mark.usefixtures("study")
def test_a_report_shows_what_would_not_be_seen(tmp_path: Path, command: Command) -> None:
    assert command("report", "tiny").code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    own, figures = page.split("<script>!function", 1)[0], re.findall(r'id="figure-\w+">(.*?)</script>', page)
    assert figures
    assert is_clean(re.sub(r"<script.*?</script>", "", own, flags=re.DOTALL))
    assert r"\x1b" in own
    for figure in figures:
        assert is_clean(json.dumps(json.loads(figure), ensure_ascii=False))


@pytest.mark.parametrize("key", [HOSTILE, "search"])
def test_a_stored_spec_that_is_hostile_is_refused_in_one_clean_line(
    study: OpenStudy, command: Command, key: str
) -> None:
    spec = study.spec.document() | {key: HOSTILE}
    with study.storage.transaction() as session:
        ours = study_attributes.c.key == SPEC
        session.execute(study_attributes.update().where(ours).values(value_json=json.dumps(spec)))
    for words in ("status tiny", "verify tiny", "logs tiny", "export tiny", "studies"):
        answer = command(*words.split())
        assert is_clean(answer.out + answer.err)
        assert r"\x1b" in answer.out + answer.err, words


def test_what_happens_is_told_as_it_is_seen_on_a_terminal_and_in_a_pipe(study: OpenStudy) -> None:
    now = read_results(study)
    before = Results(now.spec, [])
    lines = list(events(before, now))
    assert any(r"\x1b" in line for line in lines)
    for is_terminal in (True, False):
        console = VisibleConsole(file=io.StringIO(), force_terminal=is_terminal, width=400)
        for line in lines:
            console.print(line)
        table = Table(HOSTILE, title=HOSTILE)
        table.add_row(HOSTILE)
        console.print(table, Text(HOSTILE, style="bold"), HOSTILE)
        assert isinstance(console.file, io.StringIO)
        written = console.file.getvalue()
        assert SHOWN in written
        assert "[bold]" in written
        assert ":smile:" in written
        assert is_clean(re.sub(r"\x1b\[[0-9;]*m", "", written))


@pytest.mark.parametrize("format_", ["toml", "json", "yaml"])
def test_documents_are_ours_to_show_and_say_the_same_when_read_again(format_: str) -> None:
    content = {"a": HOSTILE, f"key {HOSTILE}": ["\x00\x1f\x7f\x80\x9f", "\U000e0041", "é ü 漢 ❤"]}
    document = dump(content, format_)  # type: ignore[arg-type]
    assert is_clean(document)
    assert parse(document, format_) == content  # type: ignore[arg-type]


def test_json_is_ascii_that_no_terminal_obeys() -> None:
    written = to_json({HOSTILE: [HOSTILE, float("nan")]})
    assert written.isascii()
    assert is_clean(written)
    assert json.loads(written) == {HOSTILE: [HOSTILE, None]}


def test_what_libraries_log_and_warn_of_is_shown_like_all_else(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.Logger("library")
    logger.addHandler(StandardError())
    logger.warning("%s\n%s", HOSTILE, "second line")
    logger.warning(warnings.formatwarning(HOSTILE, UserWarning, HOSTILE, 1))
    said = capsys.readouterr().err
    assert said.startswith(f"{SHOWN}\nsecond line\n")
    assert is_clean(said)
