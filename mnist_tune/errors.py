"""Errors that end a command with one line instead of a traceback."""

LONGEST_COMPLAINT = 160
"""The most characters of a message about a stored value, since it repeats a part of the value."""

FAILED = 1
"""Exit code when the program fails, or when a study ends with cells missing."""
MISTAKE = 2
"""Exit code when the user has typed something wrong."""
STOPPED = 3
"""Exit code when something was stopped before its end."""


class MnistTuneError(Exception):
    """A failure of the program or the machine. The message is the one line that the user reads."""

    exit_code = FAILED


class UserError(MnistTuneError):
    """The user's mistake: the message says what is wrong, where, and what to write instead."""

    exit_code = MISTAKE


class FileUnavailable(MnistTuneError):  # noqa: N818 - a state of the file more than an error
    """A file that was kept for a trial cannot be read, and why."""


class FileElsewhere(FileUnavailable):
    """A file that was kept for a trial is not in the folder in which the storage's files are looked for."""

    def __init__(self, folder: str) -> None:
        super().__init__(f"the file is not in {folder}")
        self.folder = folder


class Damaged(ValueError):  # noqa: N818 - a state of what is stored more than an error
    """A stored value is not what it should be; the message says how, in one line."""

    def __init__(self, message: str) -> None:
        from mnist_tune.text.wording import shortened  # training raises errors too, and should not need rich

        super().__init__(shortened(" ".join(message.split()), LONGEST_COMPLAINT))
