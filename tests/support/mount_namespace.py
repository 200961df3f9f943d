"""Real file systems for tests, in a mount namespace that ends with its process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_with_mounts(shell: str, python: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the mount commands in `shell`, then `python`, in `folder`; skips the test without the right."""
    namespace = ["unshare", "--mount", "--map-root-user"]
    try:
        subprocess.run([*namespace, "mount", "-t", "tmpfs", "none", folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount here: {getattr(error, 'stderr', error)}")
    # Enter the folder again, since something may be mounted over it now.
    script = f'cd {folder}\n{shell}\ncd {folder}\nexec "$0" -c "$1"'
    return subprocess.run(
        [*namespace, "sh", "-ec", script, sys.executable, python],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
