"""What a program prints, as the lines that a person sees in the end."""

from __future__ import annotations

LONGEST = 2_000
"""The most characters of a line; the rest of a longer one is left out."""
KEPT_BYTES = 4 * (LONGEST + 1)
"""So many bytes of a line are more than LONGEST characters."""


def printed_line(content: bytes) -> str:
    r"""One line of an output as text; of one that was drawn anew after each `\r`, only the last state."""
    text = content.rstrip(b"\r").rpartition(b"\r")[2][:KEPT_BYTES].decode(errors="replace").rstrip()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… (the rest of this line is left out)"


def printed_lines(content: bytes) -> list[str]:
    """The lines of an output, without blank ones."""
    return [line for each in content.split(b"\n") if (line := printed_line(each))]


def as_unfinished(content: bytes) -> bytes:
    """As much of a line without an end as `printed_line` needs when its rest comes."""
    drawn = content.rstrip(b"\r")
    return drawn.rpartition(b"\r")[2][:KEPT_BYTES] + (b"\r" if len(drawn) < len(content) else b"")
