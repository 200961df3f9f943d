"""The report of a large study beside a page of Optuna's own figures: how fast made, how large, how fast open.

    python -m tests.benchmarks.report_size [--json] [--trials N] [--epochs E] [--repeats R]

A random search of N trials in a fresh SQLite file, without training. A turn is each page once: a process of
its own makes it (its start and its imports count), and a fresh Chromium window opens it from its file.

- ours: `mnist-tune report`;
- stock: intermediate values, parallel coordinates, slices, importances and timeline, as
  `optuna.visualization` makes them, in one file with Plotly in it.

A figure is the median over the turns, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from playwright.sync_api import Browser

from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from tests.benchmarks.spread import Spread, spread
from tests.support.browser import chromium, opened
from tests.support.made_studies.cells import complete_all_cells
from tests.support.specs import SAMPLED_SPEC
from tests.support.studies import new_study

STOCK = """
import sys
import optuna
from optuna import visualization
study = optuna.load_study(study_name="tiny", storage=sys.argv[1])
plots = (
    visualization.plot_intermediate_values,
    visualization.plot_parallel_coordinate,
    visualization.plot_slice,
    visualization.plot_param_importances,
    visualization.plot_timeline,
)
with open(sys.argv[2], "w") as page:
    for plot in plots:
        page.write(plot(study).to_html(full_html=False, include_plotlyjs=plot is plots[0]))
"""
SIDES = ("ours", "stock")
DRAWN = {
    "ours": "document.documentElement.dataset.drawn === 'all'",
    "stock": "document.readyState === 'complete'",
}
"""Expressions that are true when the last figure of a page is drawn."""
FIGURES = {
    "made": "made, s",
    "size": "size, MB",
    "loaded": "first figure can be seen, s",
    "drawn": "all figures drawn, s",
    "longest": "longest time without an answer, s",
}
WATCH = """
window.longest = 0;
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
}).observe({type: "longtask", buffered: true});
"""

Measured = dict[str, float]


def measure(trials: int, epochs: int, repeats: int) -> dict[str, dict[str, Spread]]:
    """The figures of each page."""
    turns: dict[str, list[Measured]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        complete_all_cells(new_study(folder, SAMPLED_SPEC.format(n_trials=trials)), epochs=epochs)
        for _ in range(repeats):
            for side in SIDES:
                page = folder / f"{side}.html"
                made = _make(side, folder, page)
                with chromium() as browser:
                    turns[side].append(made | _open(side, page, browser))
    return {
        side: {key: spread([turn[key] for turn in measured]) for key in FIGURES}
        for side, measured in turns.items()
    }


def _make(side: str, folder: Path, page: Path) -> Measured:
    url = f"sqlite:///{folder}/studies.db"
    ours = ("-m", "mnist_tune", "report", "tiny", "--output", str(page))
    command = ours if side == "ours" else ("-c", STOCK, url, str(page))
    began = time.monotonic()
    subprocess.run(
        [sys.executable, *command],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {ENVIRONMENT_VARIABLE: url},
    )
    return {"made": time.monotonic() - began, "size": page.stat().st_size / 1e6}


def _open(side: str, path: Path, browser: Browser) -> Measured:
    with opened(browser, "about:blank") as (page, _):
        page.add_init_script(WATCH)
        began = time.monotonic()
        page.goto(path.as_uri(), wait_until="commit")
        page.wait_for_selector(".main-svg", timeout=300_000)
        loaded = time.monotonic() - began
        page.wait_for_function(DRAWN[side], timeout=300_000)
        drawn = time.monotonic() - began
        longest: float = page.evaluate("window.longest")
    return {"loaded": loaded, "drawn": drawn, "longest": longest / 1000}


def table(figures: Mapping[str, Mapping[str, Spread]]) -> str:
    """The figures in lines, with a column for each page."""
    lines = [f"{'':36}" + "".join(f"{side:>26}" for side in figures)]
    for key, label in FIGURES.items():
        lines.append(f"{label:36}" + "".join(f"{measured[key]!s:>26}" for measured in figures.values()))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    figures = measure(options.trials, options.epochs, options.repeats)
    if options.json:
        plain = {
            side: {key: asdict(one) for key, one in measured.items()} for side, measured in figures.items()
        }
        print(json.dumps(plain, indent=2))
    else:
        print(f"{options.trials:,} trials of {options.epochs} epochs, {options.repeats} turns")
        print(table(figures))


if __name__ == "__main__":
    main()
