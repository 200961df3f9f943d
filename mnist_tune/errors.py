"""Errors that end a command with one line instead of a traceback."""


class MnistTuneError(Exception):
    """A failure that is ours or the machine's. The message is the one line the user reads."""

    exit_code = 1


class UserError(MnistTuneError):
    """The user's mistake: the message says what is wrong, where, and what to write instead."""

    exit_code = 2
