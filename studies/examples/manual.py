"""A recurrent network that learns to write Python's manual, letter by letter.

A script with a checkpoint from which it goes on. It knows two variables of mnist-tune: the folder whose files
the next attempt finds, and the file to which an epoch is reported. It runs without them too.
"""

import argparse
import json
import math
import os
from pathlib import Path
from pydoc_data.topics import topics

import torch
from torch import Tensor, nn

LETTERS, LENGTH, BATCH = 80_000, 64, 32


class Writer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(128, 32)
        self.memory = nn.GRU(32, width, batch_first=True)
        self.next_letter = nn.Linear(width, 128)

    def bits(self, text: Tensor) -> Tensor:
        """How many bits a letter takes for who knows those before it."""
        guesses = self.next_letter(self.memory(self.embedding(text[:, :-1]))[0])
        return nn.functional.cross_entropy(guesses.flatten(0, 1), text[:, 1:].flatten()) / math.log(2)


def load(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Go on from a checkpoint, if there is one; returns how many epochs are done."""
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    return state["epoch"]


def save(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
    written = checkpoint.with_suffix(".new")  # never half a checkpoint
    torch.save(state | {"random": torch.get_rng_state()}, written)
    written.replace(checkpoint)


def report(**numbers: float) -> None:
    print(line := json.dumps(numbers))
    if "MNIST_TUNE_REPORT" in os.environ:
        with Path(os.environ["MNIST_TUNE_REPORT"]).open("a") as file:
            print(line, file=file)


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn to write Python's manual.")
    parser.add_argument("--learning_rate", type=float, default=0.01)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)

    text = "".join(topics[name] for name in sorted(topics)).encode("ascii", "replace")[:LETTERS]
    pieces = torch.tensor(list(text)).unfold(0, LENGTH, LENGTH)
    training, validation = pieces[:-200], pieces[-200:]
    model = Writer(options.width)
    optimizer = torch.optim.Adam(model.parameters(), options.learning_rate)
    checkpoint = Path(os.environ.get("MNIST_TUNE_CHECKPOINTS", "."), "manual.pt")
    done = load(checkpoint, model, optimizer)
    for epoch in range(done + 1, options.epochs + 1):
        for chosen in torch.randperm(len(training)).split(BATCH):
            loss = model.bits(training[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.inference_mode():
            bits = model.bits(validation).item()
        save(checkpoint, model, optimizer, epoch)
        report(epoch=epoch, bits=bits)


if __name__ == "__main__":
    main()
