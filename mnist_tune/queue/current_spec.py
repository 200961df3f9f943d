"""A study's spec with the settings that it has now: people may change them while it runs."""

from __future__ import annotations

from sqlalchemy import orm

from mnist_tune.errors import Damaged
from mnist_tune.records.stored_spec import spec_text, stored_spec
from mnist_tune.spec.study_spec import Spec


class CurrentSpec:
    """The spec that a worker opened, with the [retry] and [limits] of the moment."""

    def __init__(self, study_id: int, spec: Spec) -> None:
        self.spec = spec
        """As it was last read."""
        self._statement = spec_text(study_id)
        self._text: str | None = None

    def read(self, session: orm.Session) -> Spec:
        """The spec as it is stored now; where that cannot be read, as it was."""
        text = session.execute(self._statement).scalar()
        if text is not None and text != self._text:
            self._text = text
            try:
                now = stored_spec(text)
            except Damaged:
                return self.spec
            self.spec = self.spec.model_copy(update={"retry": now.retry, "limits": now.limits})
        return self.spec
