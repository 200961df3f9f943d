"""Errors that end a command with one line instead of a traceback."""

LONGEST_COMPLAINT = 160
"""Characters of a complaint about what is stored, which repeats some of it."""

FAILED = 1
"""Exit code of a failure of ours, or of a study that ended with cells missing."""
MISTAKE = 2
"""Exit code of a mistake in what was typed."""
STOPPED = 3
"""Exit code of what was stopped before its end."""


class MnistTuneError(Exception):
    """A failure that is ours or the machine's. The message is the one line the user reads."""

    exit_code = FAILED


class UserError(MnistTuneError):
    """The user's mistake: the message says what is wrong, where, and what to write instead."""

    exit_code = MISTAKE


class Damaged(ValueError):  # noqa: N818 - a state of what is stored more than an error
    """A stored value is not what it should be; the message says how, in one line."""

    def __init__(self, message: str) -> None:
        from mnist_tune.text.wording import shortened  # training, which has errors too, needs no rich

        super().__init__(shortened(" ".join(message.split()), LONGEST_COMPLAINT))
