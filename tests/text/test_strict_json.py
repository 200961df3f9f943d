"""JSON that we write has neither NaN nor Infinity."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from mnist_tune.jobs.mnist.network import ConvNet, model_bytes
from mnist_tune.spec.documents import to_json
from tests.support.commands import Command
from tests.support.damaged_studies import parse_strict_json


def test_json_is_strict_whatever_is_in_it() -> None:
    content = {"a": [math.nan, (1.5, -math.inf)], "when": datetime(2026, 1, 1, tzinfo=UTC), "path": Path("x")}
    plain = {"a": [None, [1.5, None]], "when": "2026-01-01T00:00:00+00:00", "path": "x"}
    assert parse_strict_json(to_json(content)) == plain


@pytest.mark.slow
def test_the_evaluation_of_a_model_of_nan_says_so_in_strict_json(
    command: Command, tmp_path: Path, mnist_directory: Path
) -> None:
    network = ConvNet()
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(math.nan)
    (tmp_path / "model.safetensors").write_bytes(model_bytes(network))
    answer = command("evaluate", str(tmp_path / "model.safetensors"), "--json")
    assert answer.code == 0
    measured = parse_strict_json(answer.out)
    assert measured["metrics"]["loss"] is None
    assert measured["mistakes"][0]["confidence"] is None
    assert measured["problems"] == ["the loss is nan"]
