"""The papers' pictures, taken anew from a real run: python -m tests.papers.readme_pictures.

Runs the quickstart and the replicates (five minutes on two cores), evaluates the winner, and takes
pictures of the terminal half way, of the report and of the dashboard. Needs tmux and Chromium.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from playwright.sync_api import Browser
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from tests.support.browser import chromium, opened
from tests.support.commands import run_command
from tests.support.running_dashboard import running_dashboard
from tests.support.specs import STUDIES
from tests.support.tmux import ENDED, terminal

COLUMNS, LINES = 100, 20
HALF_WAY = r"4/8 cells[\s\S]*running .* 2/3"
PAGE = """<body style="margin: 0"><pre style="padding: 16px; margin: 0; display: inline-block;
background: {background}; color: {foreground};
font: 14px/1.3 'DejaVu Sans Mono', monospace">{code}</pre></body>"""


def run_on_a_terminal(folder: Path) -> str:
    """Run the quickstart to its end; the screen half way, with its colours."""
    command = [sys.executable, "-m", "mnist_tune", "run", "studies/quickstart.toml"]
    picture = ""
    with terminal() as screen:
        screen.start(command, folder, COLUMNS, LINES)
        while ENDED not in (text := "\n".join(screen.screen())):
            if re.search(HALF_WAY, text):
                picture = screen.picture()
            time.sleep(0.2)
    assert picture, "the run was never seen half way"
    return picture


def picture_of_text(browser: Browser, coloured: str, path: Path) -> None:
    """What stands on a terminal as a PNG."""
    console = Console(file=StringIO(), record=True, width=COLUMNS)
    for line in coloured.rstrip("\n").split("\n"):
        console.print(Text.from_ansi(line), soft_wrap=True)
    html = console.export_html(theme=DIMMED_MONOKAI, code_format=PAGE, inline_styles=True)
    with opened(browser, "about:blank", width=1000) as (page, _):
        page.set_content(html)
        path.write_bytes(page.locator("pre").screenshot())


def picture_of_page(browser: Browser, url: str, path: Path, *, height: int, of: str | None = None) -> None:
    """The top of a page, or one part of it, as a PNG."""
    with opened(browser, url, width=1100) as (page, complaints):
        page.set_viewport_size({"width": 1100, "height": height})
        page.wait_for_selector(".js-plotly-plot")
        page.wait_for_timeout(2_000)  # figures fade in
        if of is None:
            page.screenshot(path=path)
        else:
            page.locator(of).screenshot(path=path)
        assert not complaints, complaints


def commands(folder: Path, lines: Sequence[str]) -> None:
    """Run commands to their ends."""
    for line in lines:
        answer = run_command(*line.split(), folder=folder)
        assert answer.returncode == 0, answer.stderr


def main() -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        folder = Path(temporary)
        (folder / "studies").symlink_to(STUDIES)
        os.environ["MNIST_TUNE_STORAGE"] = f"sqlite:///{folder}/studies.db"
        picture_of_text(browser, run_on_a_terminal(folder), STUDIES / "quickstart.png")
        commands(
            folder,
            [
                "create-study studies/replicates.toml --reuse quickstart",
                "run studies/replicates.toml",
                "export replicates --output best.toml",
                "train best.toml --output models/best",
                "evaluate models/best",
                "report replicates --model models/best --output report.html",
            ],
        )
        report = (folder / "report.html").as_uri()
        picture_of_page(browser, report, STUDIES / "report.png", height=630)
        picture_of_page(browser, report, STUDIES / "report-curves.png", height=900, of="#curves")
        with running_dashboard(folder, "--read-only", url=os.environ["MNIST_TUNE_STORAGE"]) as address:
            study = f"{address}dashboard/studies/2"
            picture_of_page(browser, study, STUDIES / "dashboard.png", height=900)


if __name__ == "__main__":
    main()
