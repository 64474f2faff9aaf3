"""A picture of one result: the pulse wave and its spectrum. Needs Matplotlib, on a host only."""

from pathlib import Path
from typing import Any

import numpy as np

from rppg_core.errors import UserError
from rppg_core.pipeline import Result
from rppg_core.postprocess import PulseSettings, spectrum


def check_plot(path: Path) -> None:
    """Raise UserError where no picture can be drawn into `path`, before any work is done."""
    matplotlib = _matplotlib()
    known = matplotlib.figure.Figure().canvas.get_supported_filetypes()
    if path.is_dir():
        raise UserError(f"{path}: a folder; name a file for the plot, as {path / 'pulse.png'}")
    if path.suffix[1:].lower() not in known:
        raise UserError(f"{path}: no picture's ending; name a .png, .svg or .pdf file")
    if not path.parent.is_dir():
        raise UserError(f"{path}: no folder {path.parent}; make it, or name another file")


def plot_result(result: Result, settings: PulseSettings, title: str, path: Path) -> None:
    """Draw pulse and spectrum of `result` into `path` (png, svg or pdf by its ending)."""
    plt = _matplotlib().pyplot
    frequency, power = spectrum(result.wave.samples, result.wave.fps)
    inside = (frequency >= settings.low_hz * 0.6) & (frequency <= settings.high_hz * 1.4)
    time_s = result.wave.start_s + np.arange(len(result.wave.samples)) / result.wave.fps
    figure, (pulse, bands) = plt.subplots(
        2, 1, figsize=(9, 5.4), layout="constrained", gridspec_kw={"height_ratios": [3, 2]}
    )
    pulse.plot(time_s, result.wave.samples, color="#b3123f", linewidth=1.2)
    pulse.set(xlabel="time (s)", ylabel="pulse (a.u.)", xlim=(time_s[0], time_s[-1]))
    pulse.set_title(f"{title}: {result.bpm:.1f} bpm, SNR {result.snr_db:.1f} dB", loc="left")
    bands.fill_between(60 * frequency[inside], power[inside] / power[inside].max(), color="#c9d3e3")
    bands.plot(60 * frequency[inside], power[inside] / power[inside].max(), color="#33507a")
    bands.axvspan(60 * settings.low_hz, 60 * settings.high_hz, color="#33507a", alpha=0.06)
    bands.axvline(result.bpm, color="#b3123f", linestyle="--", linewidth=1.2)
    bands.set(xlabel="rate (bpm); shaded: the band", ylabel="power (of the peak)", ylim=(0, 1.08))
    for axes in (pulse, bands):
        axes.spines[["top", "right"]].set_visible(False)
    try:
        figure.savefig(path, dpi=130)
    except (OSError, ValueError) as bad:
        raise UserError(f"{path}: the plot cannot be written ({bad})") from None
    finally:
        plt.close(figure)


def _matplotlib() -> Any:
    """Matplotlib without a screen."""
    try:
        import matplotlib  # noqa: PLC0415 (a board has none)

        matplotlib.use("Agg")
        import matplotlib.pyplot  # noqa: PLC0415
    except ImportError:
        raise UserError("--plot needs Matplotlib: pip install matplotlib") from None
    return matplotlib
