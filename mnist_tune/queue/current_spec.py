"""A study's spec as it is now: people may change its settings, and let it grow, while it runs."""

from __future__ import annotations

from sqlalchemy import orm

from mnist_tune.records.stored_spec import brought_up_to_date, spec_text
from mnist_tune.records.values import Text
from mnist_tune.spec.study_spec import Spec


class CurrentSpec:
    """The spec that a worker opened, with the search, [retry], [limits] and [stop] as they are stored now."""

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
            self.spec = brought_up_to_date(self.spec, text)
        return self.spec
