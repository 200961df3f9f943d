"""What a developer runs before a commit: python -m tests.check [STEP ...] [--fix].

Without steps: format, lint, types and the default tests. `.ci/run` takes the same steps, and `marked`.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
STEPS = {
    "format": ["ruff format --check ."],
    "lint": ["ruff check ."],
    "types": ["mypy"],
    "tests": ["pytest"],
    # Four at a time, even on two cores: many tests wait, for a lease to end or a link to be cut.
    "marked": [
        "pytest -n 4 -m '(slow or browser or postgres) and not gpu and not campaign' -rs --durations=30"
    ],
}
"""The commands of each step, as modules of this Python."""
FIXES = {"format": ["ruff format ."], "lint": ["ruff check --fix ."]}
"""What --fix runs instead."""
BEFORE_A_COMMIT = ("format", "lint", "types", "tests")


def main() -> int:
    """Run the named steps in their order; returns the exit code of the first that fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("steps", metavar="STEP", nargs="*", help=f"of {', '.join(STEPS)}")
    parser.add_argument("--fix", action="store_true", help="mend what ruff can mend")
    options = parser.parse_args()
    if unknown := [step for step in options.steps if step not in STEPS]:
        parser.error(f"no step '{unknown[0]}'; there are {', '.join(STEPS)}")
    return take(options.steps or BEFORE_A_COMMIT, fix=options.fix)


def take(steps: Sequence[str], *, fix: bool = False, folder: Path = ROOT) -> int:
    """Run steps in the folder until one fails; returns its exit code, or 0."""
    for step in steps:
        for command in FIXES.get(step, STEPS[step]) if fix else STEPS[step]:
            print(f"+ {command}", flush=True)
            began = time.monotonic()
            done = subprocess.run([sys.executable, "-m", *shlex.split(command)], cwd=folder, check=False)
            result = "failed" if done.returncode else "passed"
            print(f"  {step}: {result} in {time.monotonic() - began:.0f} s", flush=True)
            if done.returncode:
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
