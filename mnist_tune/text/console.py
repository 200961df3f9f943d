"""Rich's console for text that is not ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from mnist_tune.text.visible import visible, visible_text


class VisibleConsole(Console):
    """Writes no control character but its own, and takes no text for markup. A string is one line."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **arguments)

    def print(self, *objects: Any, **options: Any) -> None:
        # Here too: Rich silently drops some of them when it makes its own text of a string.
        shown = [visible(each) if isinstance(each, str) else each for each in objects]
        super().print(*shown, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible_text(segment.text))
