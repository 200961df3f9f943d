"""Checks of a head by `doctor`: does it answer, does it let us in, and how fast."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from functools import partial

from mnist_tune.doctor.machine import CheckResult, Severity, examine
from mnist_tune.errors import MnistTuneError
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_studies import RemoteStudies

ROUND_TRIPS = 20
SLOW_SECONDS = 0.25
"""The limit for the median of the answers: a worker asks a few times an epoch."""


def head_checks(text: str, source: str) -> Iterator[CheckResult]:
    """Check the head that a text names; `source` says where it was written."""
    try:
        head = Head(HeadAddress.parse(text, source))
    except MnistTuneError as error:
        yield CheckResult("head", Severity.PROBLEM, str(error))
        return
    yield from examine(("head", partial(_answers, head)))


def _answers(head: Head) -> Iterator[CheckResult]:
    service = RemoteStudies(head)
    names = service.study_names()
    encrypted = "encrypted" if head.address.url.startswith("https") else "not encrypted"
    pinned = ", by the certificate that its address names" if head.address.fingerprint else ""
    studies = "1 study" if len(names) == 1 else f"{len(names):,} studies"
    says = f"{head.address.url} answers, {encrypted}{pinned}: {studies}"
    yield CheckResult("head", Severity.OK, says)
    times = []
    for _ in range(ROUND_TRIPS):
        begun = time.monotonic()
        service.study_names()
        times.append(time.monotonic() - begun)
    median, slowest = 1000 * statistics.median(times), 1000 * max(times)
    is_slow = statistics.median(times) > SLOW_SECONDS
    remedy = "; find a shorter way to it, or give it less work" if is_slow else ""
    verdict = Severity.WARNING if is_slow else Severity.OK
    yield CheckResult("latency", verdict, f"{median:.1f} ms an answer, the slowest {slowest:.1f} ms{remedy}")
