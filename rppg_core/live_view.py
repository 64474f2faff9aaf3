"""What a live measurement looks like: lines for a terminal, a picture for a window.

Only text and pictures are made here; nothing is written and nothing is opened.
"""

from typing import List, NamedTuple, Optional

import cv2
import numpy as np

from rppg_core.faces import Box
from rppg_core.pipeline import Estimate
from rppg_core.postprocess import FAIR_SNR_DB, GOOD_SNR_DB, quality

BLOCKS, ASCII_BLOCKS = " ▁▂▃▄▅▆▇█", " #"
FULL, EMPTY, ASCII_FULL, ASCII_EMPTY = "█", "░", "#", "."
WAVE_ROWS = 4
BAR_CELLS = 10
NARROWEST = 24  # characters, for the name of a line and a bar
WORST_SNR_DB, BEST_SNR_DB = -6.0, 9.0  # the ends of the quality bar
GREEN, YELLOW, RED, BOLD, DIM, PLAIN = (f"\x1b[{n}m" for n in ("32", "33", "31", "1", "2", "0"))
GREEN_BGR, WHITE_BGR, BLACK_BGR = (80, 200, 80), (255, 255, 255), (0, 0, 0)


class Moment(NamedTuple):
    """All that is shown at one time: `wave` (n,) any scale, the newest sample last, or empty."""

    title: str
    at_s: float
    of_s: Optional[float]
    estimate: Optional[Estimate]
    first_in_s: float
    wave: np.ndarray
    box: Optional[Box]
    fps: Optional[float]
    dropped: int = 0


def rate_text(moment: Moment) -> str:
    """The heart rate, or why there is none."""
    if moment.box is None:
        return "no face"
    if moment.estimate is None:
        return f"measuring, {max(moment.first_in_s, 0.0):.0f} s to go"
    if moment.estimate.bpm is None:
        return "no pulse"
    return f"{moment.estimate.bpm:.0f} bpm"


def estimate_line(estimate: Estimate) -> str:
    """One heart rate on a line, for a log."""
    at = f"{estimate.end_s:7.1f} s  "
    if estimate.bpm is None or estimate.snr_db is None:
        why = "the face was lost" if estimate.lost_s > 0 else "no pulse"
        return f"{at}   -  bpm  ({why})"
    rating = quality(estimate.snr_db)
    return f"{at}{estimate.bpm:5.1f} bpm  SNR {estimate.snr_db:5.1f} dB  {rating}"


def screen(moment: Moment, width: int, unicode: bool = True, colour: bool = True) -> List[str]:
    """The lines of a terminal, always as many, none wider than `width` (at least 24)."""
    width = max(width, NARROWEST)

    def painted(text: str, style: str) -> str:
        return f"{style}{text}{PLAIN}" if colour else text

    of = "" if moment.of_s is None else f" of {_minutes(moment.of_s)}"
    clock = f"{_minutes(moment.at_s)}{of}"
    room = width - len(clock) - 1
    title = "".join(one if one.isprintable() else "?" for one in moment.title)
    title = title if len(title) <= room else "..." + title[3 - room :]
    snr_db = moment.estimate.snr_db if moment.estimate else None
    rated = "" if snr_db is None else f"{quality(snr_db)}, SNR {snr_db:.1f} dB"
    style = DIM if snr_db is None else _style(snr_db)
    head = f"{'heart rate':12}"
    lines = [
        painted(f"{title}{' ' * (room - len(title) + 1)}{clock}", DIM),
        head + painted(rate_text(moment)[: width - len(head)], BOLD),
        f"{'quality':12}" + painted(_bar(snr_db, unicode), style) + f" {rated}"[: width - 22],
        *(painted(row, style) for row in sparkline(moment.wave, width, unicode=unicode)),
    ]
    face = "no face seen"
    if moment.box is not None:
        side = f"{moment.box.width:.0f} x {moment.box.height:.0f} px"
        face = f"face of {side} at {moment.box.x:.0f}, {moment.box.y:.0f}"
    speed = "" if moment.fps is None else f"; {moment.fps:.1f} frames a second"
    lost = f", {moment.dropped} dropped" if moment.dropped else ""
    lines.append(painted((face + speed + lost)[:width], DIM))
    return lines


def sparkline(
    wave: np.ndarray, width: int, rows: int = WAVE_ROWS, unicode: bool = True
) -> List[str]:
    """`rows` lines of `width` characters with `wave` (n,) as columns, from the top down."""
    blocks = BLOCKS if unicode else ASCII_BLOCKS
    steps = len(blocks) - 1
    if len(wave) < 2 or not np.ptp(wave) > 0:
        return [" " * width] * rows
    at = np.linspace(0, len(wave) - 1, width)
    columns = np.interp(at, np.arange(len(wave)), wave)
    low, high = float(columns.min()), float(columns.max())
    heights = np.rint((columns - low) / max(high - low, 1e-30) * rows * steps).astype(int)
    heights = np.maximum(heights, 1)
    return [
        "".join(blocks[min(max(height - row * steps, 0), steps)] for height in heights.tolist())
        for row in range(rows - 1, -1, -1)
    ]


def picture(rgb: np.ndarray, moment: Moment) -> np.ndarray:
    """The frame (height, width, 3) as BGR with face box, pulse wave and heart rate drawn in."""
    shown = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    height, width = shown.shape[:2]
    if moment.box is not None:
        left, top = round(moment.box.x), round(moment.box.y)
        right, bottom = left + round(moment.box.width), top + round(moment.box.height)
        cv2.rectangle(shown, (left, top), (right, bottom), GREEN_BGR, 2)
    if len(moment.wave) > 1 and np.ptp(moment.wave) > 0:
        across = np.linspace(0, width - 1, len(moment.wave))
        swing = (moment.wave - moment.wave.min()) / np.ptp(moment.wave)
        down = height - 6 - swing * 0.15 * height
        points = np.rint(np.stack([across, down], axis=1)).astype(np.int32)
        cv2.polylines(shown, [points], False, GREEN_BGR, 2, cv2.LINE_AA)
    text, font, size = rate_text(moment), cv2.FONT_HERSHEY_SIMPLEX, max(height / 480.0, 0.4)
    for colour, thickness in ((BLACK_BGR, 5), (WHITE_BGR, 2)):  # readable on any background
        at = (round(12 * size), round(36 * size))
        cv2.putText(shown, text, at, font, size, colour, thickness, cv2.LINE_AA)
    return np.asarray(shown)


def _bar(snr_db: Optional[float], unicode: bool) -> str:
    full, empty = (FULL, EMPTY) if unicode else (ASCII_FULL, ASCII_EMPTY)
    share = 0.0
    if snr_db is not None:
        share = (snr_db - WORST_SNR_DB) / (BEST_SNR_DB - WORST_SNR_DB)
    cells = round(BAR_CELLS * min(max(share, 0.0), 1.0))
    return full * cells + empty * (BAR_CELLS - cells)


def _style(snr_db: float) -> str:
    if snr_db >= GOOD_SNR_DB:
        return GREEN
    return YELLOW if snr_db >= FAIR_SNR_DB else RED


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
