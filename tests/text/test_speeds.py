"""Speeds as people read them."""

from __future__ import annotations

import pytest

from mnist_tune.text.speeds import speed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.0, "0"),
        (0.37, "0.37"),
        (0.004, "0.0040"),
        (1.25e-5, "1.3e-05"),
        (1.0, "1.0"),
        (9.94, "9.9"),
        (9.96, "10"),
        (12_345.6, "12,346"),
        (9_999_999.4, "9,999,999"),
        (9_999_999.6, "1.00e+07"),
        (1.5e300, "1.50e+300"),
    ],
)
def test_a_speed_is_short_whether_the_job_is_slow_or_fast(value: float | None, text: str) -> None:
    assert speed(value) == text
    assert len(text) <= 9
