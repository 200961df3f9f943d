"""People are told when a condition of a study's [stop] has stopped it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.contract.claim import Standing
from mnist_tune.contract.study import Control
from mnist_tune.queue.control import set_control
from tests.support.stopping_studies import asked, end, made
from tests.support.webhooks import Webhook, after_a_look, telling

pytestmark = pytest.mark.usefixtures("soon")


def test_a_study_that_its_condition_has_stopped_is_told_with_the_reason_and_again_after_resume(
    tmp_path: Path, hook: Webhook
) -> None:
    study = made(tmp_path, "target = 90.0")
    after_a_look(study.storage, hook.url)
    with telling(study.storage, hook.url):
        end(study, 95.0)
        hook.wait_for(1)
        assert asked(study) is Standing.STOPPED
        stopped = hook.wait_for(2)[1].event
        why = "trial 0 has 95.00 %, and the target is 90.00 %"
        assert (stopped["event"], stopped["reason"], stopped["value"]) == ("stopped", why, 95.0)
        assert stopped["text"].startswith(f"study 'tiny': stopped: {why}; learning_rate=")
        set_control(study.storage, study.study_id, Control.RUNNING)
        end(study, 97.0)
        assert asked(study) is Standing.STOPPED
        kinds = [posted.event["event"] for posted in hook.wait_for(4)]
        assert sorted(kinds) == ["new_best", "new_best", "stopped", "stopped"]
