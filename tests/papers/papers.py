"""The papers of this project: their text, their commands, their links and what one may link to in them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GUIDE = ROOT / "mnist_tune" / "README.md"
STUDIES_README = ROOT / "studies" / "README.md"
OWN_JOBS = ROOT / "studies" / "own_jobs.md"
RESULTS_PAPER = ROOT / "studies" / "results.md"
TUTORIAL_PAPER = ROOT / "studies" / "tutorial.md"
REFERENCE = ROOT / "mnist_tune" / "cli" / "README.md"
WORKERS_README = ROOT / "mnist_tune" / "worker" / "README.md"
HEAD_README = ROOT / "mnist_tune" / "serve" / "README.md"
LAUNCH_README = ROOT / "mnist_tune" / "launch" / "README.md"
OURS = ("studies", "mnist_tune", "tests")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def papers() -> list[Path]:
    """Every paper; the licence of the images is not ours."""
    found = [path for folder in OURS for path in sorted((ROOT / folder).rglob("*.md"))]
    return [README, *(path for path in found if path.name != "LICENSE.md")]


@cache
def text_of(paper: Path) -> str:
    """What stands in a paper."""
    return paper.read_text(encoding="utf-8")


def blocks(paper: Path, language: str) -> list[str]:
    """Its fenced blocks of a language."""
    return [block for kind, block in FENCED.findall(text_of(paper)) if kind == language]


def prose(paper: Path) -> str:
    """What stands outside of its fenced blocks."""
    return FENCED.sub("", text_of(paper))


def shown_commands(paper: Path) -> list[str]:
    """Every line of its bash blocks."""
    return [line for block in blocks(paper, "bash") for line in block.splitlines()]


def code(paper: Path, begins: str) -> list[str]:
    """What stands in its running text as code and begins so, each in one line."""
    spans = (" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(paper)))
    return [span for span in spans if span.startswith(begins)]


@dataclass(frozen=True)
class Link:
    """A link as it is written, and the file in this project that it leads to."""

    paper: Path
    text: str
    target: Path
    anchor: str

    @property
    def name(self) -> str | None:
        """What of a Python file it names; None for the file itself."""
        named = re.fullmatch(r"`([\w.]+)`", self.text)
        return named[1] if named and self.target.suffix == ".py" else None


def links(paper: Path) -> list[Link]:
    """A paper's links, pictures included, but those that lead out of the project."""
    found = re.findall(r"\[([^\[\]]*(?:\[[^\]]*\][^\[\]]*)*)\]\(([^()\s]+)\)", prose(paper))
    return [
        Link(paper, text, (paper.parent / path).resolve() if path else paper, anchor)
        for text, target in found
        if "://" not in target
        for path, _, anchor in [target.partition("#")]
    ]


def anchors(paper: Path) -> set[str]:
    """The anchors of its headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", prose(paper), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def words_around(link: Link) -> str:
    """The heading that a link stands under, and its paragraph or row of a table."""
    text = prose(link.paper)
    place = text.index(f"[{link.text}](")
    edges = [0, *(match.start() for match in re.finditer(r"\n(?=\n|[-|\d])", text)), len(text)]
    paragraph = next(text[start:end] for start, end in pairwise(edges) if start <= place < end)
    heading = re.findall(r"^#+ .*$", text[:place], re.MULTILINE)[-1]
    return " ".join(f"{heading} {paragraph}".split())


@cache
def names_in(file: Path) -> set[str]:
    """What a Python file defines: functions, classes with their methods, and names of the module."""
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name):
                found.add(name)
            case ast.ClassDef(name):
                methods = (each.name for each in node.body if isinstance(each, ast.FunctionDef))
                found |= {name, *(f"{name}.{method}" for method in methods)}
            case ast.Assign(targets):
                found |= {each.id for each in targets if isinstance(each, ast.Name)}
            case ast.AnnAssign(ast.Name(name)):
                found.add(name)
    return found
