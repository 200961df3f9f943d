"""A convolutional network for scikit-learn's digits, trained by PyTorch Lightning.

The callback is all that a search needs. After each epoch it saves Lightning's own checkpoint, then reports. A
trial that was stopped goes on after its last epoch; what it had done of the next one is done again. Lightning
keeps no states of random number generators. The callback adds torch's, so that the numbers are, to the bit,
those of an undisturbed trial. Other generators, as NumPy's in an augmentation, would have to be added too.
"""

import argparse
import json
import os
from pathlib import Path

import lightning
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, random_split

CHECKPOINT = Path(os.environ.get("MNIST_TUNE_CHECKPOINTS", "."), "lightning.ckpt")
REPORT = Path(os.environ.get("MNIST_TUNE_REPORT", "/dev/stdout"))


class Report(lightning.Callback):
    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        trainer.save_checkpoint(CHECKPOINT, weights_only=False)
        numbers = {name: value.item() for name, value in trainer.callback_metrics.items()}
        with REPORT.open("a") as file:
            print(json.dumps({"epoch": trainer.current_epoch + 1, **numbers}), file=file)

    def state_dict(self) -> dict[str, Tensor]:
        return {"random": torch.get_rng_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        torch.set_rng_state(state["random"])


class Network(lightning.LightningModule):
    def __init__(self, learning_rate: float, channels: int) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Dropout(0.2), nn.Linear(16 * channels, 10)),
        )

    def training_step(self, batch: list[Tensor]) -> Tensor:
        images, classes = batch
        return nn.functional.cross_entropy(self.layers(images), classes)

    def validation_step(self, batch: list[Tensor]) -> None:
        images, classes = batch
        scores = self.layers(images)
        self.log("loss", nn.functional.cross_entropy(scores, classes))
        self.log("accuracy", 100 * (scores.argmax(1) == classes).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.learning_rate)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a convolutional network on the digits.")
    parser.add_argument("--learning_rate", type=float, default=0.01)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    data = TensorDataset(images, torch.tensor(digits.target))
    training, validation = random_split(data, [1437, 360], torch.Generator().manual_seed(0))
    lightning.seed_everything(options.seed)
    trainer = lightning.Trainer(
        max_epochs=options.epochs,
        callbacks=[Report()],
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,  # the callback saves
        enable_progress_bar=False,
    )
    trainer.fit(
        Network(options.learning_rate, options.channels),
        DataLoader(training, batch_size=32, shuffle=True),
        DataLoader(validation, batch_size=360),
        ckpt_path=CHECKPOINT if CHECKPOINT.exists() else None,
    )


if __name__ == "__main__":
    main()
