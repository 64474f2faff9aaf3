"""The pulse of one recording and its spectrum, and the face it was read from."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from markupsafe import Markup

from harness.reports.page.svg import Chart, element
from harness.reports.pictures import Picture
from harness.verdicts.examined import Examined
from rppg_core.postprocess import spectrum

PULSE_S = 12.0
"""Of the middle of a recording: a minute of beats would be a black bar."""
JPEG_QUALITY = 80


def pulse_chart(one: Examined) -> Markup:
    """Some seconds of the pulse wave, from the middle."""
    assert one.wave is not None
    wave = one.wave
    time_s = wave.start_s + np.arange(len(wave.samples)) / wave.fps
    shown = np.abs(time_s - time_s.mean()) <= PULSE_S / 2
    samples, at_s = wave.samples[shown], time_s[shown]
    reach = 1.1 * float(np.abs(samples).max()) or 1.0
    across = (float(at_s[0]), float(at_s[-1]))
    chart = Chart(across, (-reach, reach), height=120, left=12)
    chart.axes("time, s", y_ticks=False)
    chart.line(at_s.tolist(), samples.tolist(), "wave")
    told = f"Second {at_s[0]:.0f} to {at_s[-1]:.0f}, in no unit."
    return chart.svg(f"Pulse wave of {one.recording}", told)


def spectrum_chart(one: Examined) -> Markup:
    """Its power by rate, with the truth, the estimate, and what is outside of the band."""
    assert one.wave is not None and one.scored is not None
    low, high = 60 * one.pulse.low_hz, 60 * one.pulse.high_hz
    true, found = one.scored.reference_bpm, one.scored.estimate_bpm
    left, right = min(0.8 * low, true - 5), max(1.1 * high, true + 5)
    frequency, power = spectrum(one.wave.samples, one.wave.fps)
    bpm = 60 * frequency
    shown = (bpm >= left) & (bpm <= right)
    height = power[shown] / max(float(power[shown].max(initial=0.0)), 1e-300)
    chart = Chart((left, right), (0, 1.08), height=140, left=12)
    for outside in ((left, low), (high, right)):
        chart.band(*outside, "near")
    chart.axes("rate, bpm", y_ticks=False)
    chart.upright(found, "estimate")
    chart.upright(true, "truth")
    bins = _fewer(bpm[shown], height)
    chart.line(bins[0].tolist(), bins[1].tolist(), "wave")
    told = f"Truth {true:.1f}, estimate {found:.1f} bpm; signal-to-noise ratio "
    return chart.svg(f"Spectrum of {one.recording}", told + f"{one.scored.snr_db:.1f} dB.")


def _fewer(bpm: np.ndarray, height: np.ndarray, most: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """At most ``most`` points, the highest of its neighbours for each: peaks must stay."""
    if len(bpm) <= most:
        return bpm, height
    parts = np.array_split(np.arange(len(bpm)), most)
    peaks = np.array([part[np.argmax(height[part])] for part in parts])
    return bpm[peaks], height[peaks]


def face(shown: Picture, recording: str) -> Markup:
    """The picture with the face's box, inside of the page."""
    x, y, width, height = (round(value) for value in shown.box)
    frame = np.ascontiguousarray(shown.rgb[..., ::-1])
    cv2.rectangle(frame, (x, y), (x + width, y + height), (255, 255, 255), 1)
    good, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not good:
        return Markup("")
    tall, wide = frame.shape[:2]
    source = "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
    said = f"Frame of {recording} with the box of the face"
    return element("img", src=source, alt=said, width=wide, height=tall)
