"""The files that a job saves with a trial, as bytes."""

from __future__ import annotations

from typing import Any

import safetensors.torch
from torch import Tensor, nn

from mnist_tune.files.stored_names import FILE_NAME
from mnist_tune.jobs.interface import JobMistake


def file_name(name: str) -> str:
    """The name, if a file can have it. Raises JobMistake."""
    if not isinstance(name, str) or not FILE_NAME.fullmatch(name):
        raise JobMistake(f"trial.save: {name!r} is no file name; use letters, digits, '.', '_' and '-'")
    return name


def as_file(content: Any) -> bytes:
    """The bytes of a file's content: bytes and text as they are, tensors and modules as safetensors.

    Raises:
        JobMistake: it is none of these.
    """
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if isinstance(content, dict) and all(isinstance(each, Tensor) for each in content.values()):
        # Copies: tensors that share memory cannot be saved.
        tensors = {name: each.detach().cpu().clone().contiguous() for name, each in content.items()}
        return safetensors.torch.save(tensors)
    raise JobMistake(
        f"trial.save: {type(content).__name__} cannot be saved; give bytes, text, a module or tensors by name"
    )
