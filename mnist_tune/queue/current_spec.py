"""A study's spec with its present settings, which people may change while the study runs."""

from __future__ import annotations

from sqlalchemy import orm

from mnist_tune.errors import Damaged
from mnist_tune.records.stored_spec import spec_text, stored_spec
from mnist_tune.records.values import Text
from mnist_tune.spec.study_spec import Spec


class CurrentSpec:
    """The spec that a worker opened, with the [retry] and [limits] that are stored now."""

    def __init__(self, study_id: int, spec: Spec) -> None:
        self.spec = spec
        """The spec as it was last read."""
        self._study_id = study_id
        self._text: Text = None

    def read(self, session: orm.Session) -> Spec:
        """The spec as it is stored now, or as it was last read where it cannot be read now."""
        text = spec_text(session, self._study_id)
        if text is not None and text != self._text:
            self._text = text
            try:
                now = stored_spec(text)
            except Damaged:
                return self.spec
            self.spec = self.spec.model_copy(update={"retry": now.retry, "limits": now.limits})
        return self.spec
