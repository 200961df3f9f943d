"""Studies to verify, worked on without a worker, and the findings of `verify`."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.verification import Verification, verify
from tests.support.made_studies.cells_with_files import ARTIFACTS, CHECKPOINTS
from tests.support.specs import TINY_SPEC
from tests.support.studies import open_file

SAMPLED_SPEC = """
[study]
name = "tiny"

[search]
sampler = "random"
n_trials = 3

[search.space]
learning_rate = {low = 1e-5, high = 1e-2, log = true}
optimizer = ["Adam", "SGD"]

[training]
epochs = 2
"""
# Its running trial has no worker, and must not seem lost however long the tests take.
PATIENT_SPEC = TINY_SPEC + "\n[lease]\ngrace_period = 86400.0\n"


def verify_folder(folder: Path) -> Verification:
    return verify(open_file(folder), "tiny", folder / ARTIFACTS, folder / CHECKPOINTS)


def findings_by_check(verification: Verification) -> dict[str, list[str]]:
    """The findings of each check, by the check's name; checks without findings are left out."""
    return {
        outcome.check: [str(finding) for finding in outcome.findings]
        for outcome in verification.outcomes
        if outcome.findings
    }
