"""Whether a study's trials may be given more epochs: their numbers must be those of a longer training."""

from __future__ import annotations

from mnist_tune.spec.axes import Interval
from mnist_tune.spec.conditions import Value
from mnist_tune.spec.documents import short_value
from mnist_tune.spec.pruner_options import Hyperband
from mnist_tune.spec.study_spec import Spec

EPOCHS = "epochs"
OF_HYPERBAND = "[pruner] hyperband divides the trials by their epochs; make another study"


def with_epochs(spec: Spec, epochs: int | None) -> Spec:
    """The spec with so many epochs; None changes nothing."""
    if epochs is None or epochs == spec.training.epochs:
        return spec
    return spec.model_copy(update={"training": spec.training.model_copy(update={EPOCHS: epochs})})


def why_none(spec: Spec) -> str | None:
    """Why the trials of a study cannot be given more epochs, and what to do instead; None if they can."""
    search, job, name = spec.search, spec.description, spec.study.name
    if EPOCHS in search.axes:
        instead = "add a value with --add epochs=N" if search.grid is not None else "make another study"
        return f"are searched in this study; {instead}"
    if spec.confirm is not None:
        return "a confirmation has the epochs of the study whose choice it confirms; extend that one"
    if spec.replicates is not None:
        return "[replicates] has judged trials of so many epochs as they have; make another study"
    if spec.stop.conditions:
        off = " ".join(f"stop.{condition}=none" for condition in spec.stop.conditions)
        return f"[stop] counts results of one number of epochs; remove it first: mnist-tune set {name} {off}"
    if isinstance(spec.pruner, Hyperband):
        return OF_HYPERBAND
    if job.more_epochs is None:
        return (
            "the job does not say by 'more_epochs' that a trial of few epochs is the beginning of a longer "
            "one; make another study, with more epochs or once it says so"
        )
    for field, values in job.more_epochs.items():
        for value in values:
            if _is_possible(spec, field, value):
                return (
                    f"with {field} = {short_value(value)} a trial of few epochs is not the beginning of a "
                    "longer one; make another study"
                )
    return None


def _is_possible(spec: Spec, field: str, value: Value) -> bool:
    """Whether a trial of the study may have this value of a field."""
    axis = spec.search.axes.get(field)
    if axis is None:
        return bool(getattr(spec.training, field) == value)
    if isinstance(axis, Interval):
        return not isinstance(value, str) and axis.low <= value <= axis.high
    return value in axis
