"""Documents in each format, and the errors about documents that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.results.exports import load_configuration

TOML = "[training]\nlearning_rate = 0.01\n"
JSON = '{"training": {"learning_rate": 0.01}}\n'
YAML = "training:\n  learning_rate: 0.01\n"
EACH_FORMAT = pytest.mark.parametrize(
    ("suffix", "text"), [("toml", TOML), ("json", JSON), ("yaml", YAML)], ids=["toml", "json", "yaml"]
)


def learning_rate_in(path: Path) -> float:
    learning_rate: float = load_configuration(path).training.learning_rate
    return learning_rate


def what_is_said_of(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        load_configuration(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 200, "a line that is read"
    return message.removeprefix(f"{path}: ")
