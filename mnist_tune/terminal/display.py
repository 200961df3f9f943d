"""Shows a study while it runs: as one screen on a terminal, as lines elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleDimensions
from rich.live import Live
from rich.text import Text

from mnist_tune.processes import standard_streams
from mnist_tune.results import unsaved_files
from mnist_tune.results.study_results import Results
from mnist_tune.terminal.events import events
from mnist_tune.terminal.live_view import live_view
from mnist_tune.text.times import stamp


class Display:
    """Shows one reading of a study after the other.

    It uses the terminal's second screen, as editors do: that can be redrawn at any size, and the first screen
    comes back at the end.
    """

    def __init__(self, results: Results, console: Console, *, may_draw: bool = True) -> None:
        """If `may_draw` is False, it writes lines on a terminal too."""
        self._console = console
        self._may_draw = may_draw
        self._results = results
        self._read = datetime.now(UTC)
        self._notices: list[str] = []
        self._drawn: ConsoleDimensions | None = None
        self._live: Live | None = None

    def __enter__(self) -> Self:
        is_screen = self._may_draw and standard_streams.is_screen(self._console.file)
        if is_screen and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console, screen=True, auto_refresh=False, get_renderable=self._screen
            )
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
            for notice in self._notices:  # the screen with them is gone
                self._console.print(notice)

    def show(self, now: Results) -> None:
        """Show a new reading of the study."""
        before, self._results, self._read = self._results, now, datetime.now(UTC)
        if self._live is not None:
            self._live.refresh()
            for line in unsaved_files.first_events(before.attempts, now.attempts):
                self.say(line)
        else:
            for line in events(before, now):
                self._print(line)

    def say(self, notice: str) -> None:
        """Show a message that is not an event of the study."""
        if self._live is not None:
            self._notices.append(notice)
            self._live.refresh()
        else:
            self._print(notice)

    def look_at_the_size(self) -> None:
        """Redraw if the size of the terminal has changed."""
        if self._live is not None and self._console.size != self._drawn:
            self._live.refresh()

    def _screen(self) -> Text:
        self._drawn = self._console.size
        return live_view(
            self._results,
            self._drawn.width,
            self._drawn.height,
            now=self._read,
            ascii_only=self._console.options.ascii_only,
            notice=self._notices[-1] if self._notices else "",
        )

    def _print(self, line: str) -> None:
        self._console.print(f"{stamp(on_terminal=self._console.file.isatty())} {line}")
