"""The findings of `doctor` by check."""

from __future__ import annotations

from collections.abc import Iterator

from mnist_tune.doctor.machine import CheckResult


def finding_of(findings: Iterator[CheckResult], check: str) -> CheckResult:
    """The one finding of a check."""
    (finding,) = [finding for finding in findings if finding.check == check]
    return finding
