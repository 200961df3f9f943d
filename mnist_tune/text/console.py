"""Rich's console, made safe for text that is not ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from mnist_tune.text.visible import visible, visible_text


class VisibleConsole(Console):
    """A console that escapes control characters in text, and takes no text for markup."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **arguments)

    def print(self, *objects: Any, **options: Any) -> None:
        # Done here too: Rich drops some control characters when it makes its own text from a string.
        shown = [visible(each) if isinstance(each, str) else each for each in objects]
        super().print(*shown, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible_text(segment.text))
