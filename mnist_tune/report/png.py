"""The figures as PNG files, drawn by Kaleido in a browser that is installed already."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.report.contents import Report
from mnist_tune.report.theme import LIGHT, filled_in

SCALE = 2


def write_pngs(report: Report, folder: Path) -> list[Path]:
    """Write every figure to `folder` as KEY.png; returns the paths.

    Raises:
        UserError: the folder cannot be made or written to.
        MnistTuneError: Kaleido or a browser is missing, or failed.
    """
    try:
        import kaleido
        from choreographer.errors import ChromeNotFoundError
    except ImportError:
        raise MnistTuneError("no PNGs without Kaleido; run: pip install 'mnist-tune[png]'") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}; name another with --png") from None
    names = [f"{picture.key}.png" for picture in report.pictures if picture.figure is not None]
    try:
        # In a separate folder until all are complete: each file appears whole, or not at all.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".drawing-") as drawing:
            # Without mathjax=False the browser would fetch it from a server.
            kaleido.write_fig_from_object_sync(
                _orders(report, Path(drawing)), kopts={"mathjax": False}, cancel_on_error=True
            )
            for name in names:
                (Path(drawing) / name).replace(folder / name)
    except ChromeNotFoundError:
        raise MnistTuneError(
            "no PNGs: found no Chrome or Chromium; install one, or set BROWSER_PATH to its program"
        ) from None
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written to: {error.strerror}; name another with --png"
        ) from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MnistTuneError(f"no PNGs: the browser failed: {reason}") from error
    return [folder / name for name in names]


def _orders(report: Report, folder: Path) -> list[dict[str, Any]]:
    """Kaleido's instructions, one for each figure."""
    return [
        {
            "fig": (figure := filled_in(picture.figure.to_json(), LIGHT)),
            "path": folder / f"{picture.key}.png",
            "opts": {
                "format": "png",
                "scale": SCALE,
                "width": figure["layout"]["width"],
                "height": figure["layout"]["height"],
            },
        }
        for picture in report.pictures
        if picture.figure is not None
    ]
