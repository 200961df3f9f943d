"""One chosen configuration as a document: enough to train from, with its origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from mnist_tune import __version__
from mnist_tune.errors import UserError
from mnist_tune.jobs.mnist.hyperparameters import DataConfig, TrainingConfig
from mnist_tune.results.study_results import Results
from mnist_tune.spec.documents import Section, load, validate


class Configuration(Section):
    """The document that `export` writes and `train` reads."""

    training: TrainingConfig
    data: DataConfig = DataConfig()
    origin: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _is_no_spec(cls, content: Any) -> Any:
        if isinstance(content, dict) and "search" in content:
            raise ValueError(
                "is a study's spec; train takes one configuration, as 'mnist-tune export' writes it"
            )
        return content

    def training_config(self, seed: int | None = None) -> TrainingConfig:
        """The recipe, with another seed if one is given.

        Raises:
            UserError: `seed` is not a valid seed.
        """
        if seed is None:
            return self.training
        return validate(TrainingConfig, self.training.model_dump() | {"seed": seed}, "--seed")


def load_configuration(path: Path) -> Configuration:
    """Read a configuration in TOML, JSON or YAML, by the file's suffix.

    Raises:
        UserError: one line that names the file, the key and the remedy.
    """
    return load(path, Configuration)


def best_configuration(results: Results, storage: str) -> Configuration:
    """The best configuration, with the precision and the seed of its first trial.

    Raises:
        UserError: no trial is complete yet, or none is ranked.
    """
    best = results.best
    if best is None and results.ended_early:
        raise UserError(
            f"study '{results.name}' has no configuration to choose: the pruner has ended at least one trial "
            "of each; let more trials run, or choose a more patient pruner"
        )
    if best is None:
        remedy = f"retry {results.name} --failed" if results.is_finished else f"worker {results.name}"
        raise UserError(f"study '{results.name}' has no complete trial yet; run 'mnist-tune {remedy}' first")
    first = best.first
    fields = results.spec.training.model_dump() | first.parameters
    fields["precision"] = first.environment.get("precision", fields["precision"])
    origin = {
        "study": results.name,
        "trial": first.number,
        "validation_accuracy": best.mean,
        "seeds": sorted(best.attempts),
        "provisional": best.is_provisional,
        "study_finished": results.is_finished,
        "evidence": results.evidence,
        "storage": storage,
        "exported_by": f"mnist-tune {__version__}",
        "environment": first.environment,
    }
    return Configuration(training=TrainingConfig(**fields), data=results.spec.data, origin=origin)
