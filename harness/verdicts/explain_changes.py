"""What moved since the baseline, as plain text below a test's gates: by recording and by stage."""

from __future__ import annotations

from harness.plain_text import printable
from harness.verdicts.against_baseline import Comparison
from harness.verdicts.change_gates import ALL
from harness.verdicts.explain import Row, aligned
from harness.verdicts.outcome import Outcome

MOVED_SHOWN = 5


def explain_changes(comparison: Comparison | None) -> str:
    """Return the recordings that moved most and what else differs; nothing where all held."""
    if comparison is None or all(one.outcome is Outcome.PASS for one in comparison.gates):
        return ""
    lines = [*_errors(comparison), *_times(comparison)]
    if comparison.noted and (comparison.pairs or comparison.moved):
        lines += ["", "Not as when the baseline was made:"]
        lines += [printable(f"  {one}") for one in comparison.noted]
    return "\n".join(["", *lines]) if lines else ""


def _errors(comparison: Comparison) -> list[str]:
    worse = sorted(comparison.pairs, key=lambda one: -one.change_bpm)[:MOVED_SHOWN]
    worse = [one for one in worse if one.change_bpm > 0]
    if not worse:
        return []
    rows: list[Row] = [("recording", "group", "truth", "baseline", "now", "error")]
    rows += [
        (
            one.recording,
            one.group.value,
            f"{one.reference_bpm:.1f}",
            f"{one.baseline_bpm:.1f}",
            f"{one.estimate_bpm:.1f}",
            f"{one.change_bpm:+.1f}",
        )
        for one in worse
    ]
    return ["", "Further from the truth than in the baseline (bpm):", *aligned(rows, names=2)]


def _times(comparison: Comparison) -> list[str]:
    if not comparison.moved:
        return []
    whole = next((one for one in comparison.gates if one.gate.endswith("_percent")), None)
    moved = sorted(comparison.moved, key=lambda one: -one.percent)[:MOVED_SHOWN]
    rows: list[Row] = [("recording", "baseline", "now", "change")]
    rows += [
        (one.recording, f"{one.before:.4g}", f"{one.now:.4g}", f"{one.percent:+.1f} %")
        for one in moved
    ]
    lines = ["", f"Most changed, {ALL} stages together, a frame:", *aligned(rows, names=1)]
    if whole is not None and whole.stage is not None and not whole.passed:
        lines.append(f"Look first at {whole.stage}: it has grown most.")
    return lines
