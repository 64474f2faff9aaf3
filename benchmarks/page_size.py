"""Size and load time of the report page.

    python benchmarks/page_size.py [--recordings 100] [--variants float32,int8] [--seconds 60]

Makes records of recordings that never were, marked synthetic, in the form a campaign writes them,
and a history of as many runs as the page shows; writes their page; and opens it several times in
headless Chromium. Without videos the page has no faces. The load time is the browser's own:
from the start of navigation until everything is loaded, and until something is painted.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from harness.history.store import HISTORY_FILE, History
from harness.page_command import write_page
from harness.replays import load_cases
from harness.reports.page.history import LAST
from harness.run_file import RunFile, read_run, write_run
from harness.verdicts.accuracy import score
from harness.verdicts.gates import MAE, RTF
from harness.verdicts.latency import measure
from harness.verdicts.outcome import GateResult, Outcome
from rppg_core.errors import UserError
from rppg_core.pipeline import STAGES

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "harness" / "reports"))
from made_records import FPS, make_record, write_records

# Typical calls of a laptop: ms, and every how many frames.
CALLS = {
    "decode": (1.5, 1),
    "detect": (28.0, 60),
    "preprocess": (0.4, 1),
    "predict": (8.0, 10),
    "postprocess": (1.3, 30),
}
MAX_MAE_BPM, MAX_RTF = 2.0, 0.5
MAX_BYTES, MAX_LOAD_S = 5_000_000, 2.0
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-sync", "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
TIMES = """
const [page] = performance.getEntriesByType("navigation");
const paint = performance.getEntriesByName("first-contentful-paint")[0];
return [page.loadEventEnd, paint ? paint.startTime : null];
"""


def make_run(
    folder: Path, recordings: int, variants: Sequence[str], seconds: float, names: str = "made{}"
) -> Path:
    """Write the records and the run's file; returns the folder. ``names`` has a place for a count.

    Every twentieth recording has more noise than pulse, the last one no face.
    """
    rng = np.random.default_rng(recordings)
    rates = rng.uniform(48, 140, recordings)
    for number, bpm in enumerate(rates):
        for variant in variants:
            record = make_record(
                names.format(number + 1),
                float(bpm),
                seconds=seconds,
                noise=6.0 if number % 20 == 19 else 0.6,
                variant=variant,
                conditions={"lighting": "dark" if number % 3 == 0 else "bright"},
                fails=number == recordings - 1,
                seed=number,
            )
            write_records(folder, _timed(record, rng))
    write_run(folder, _judged(folder))
    return folder


def _timed(record: dict, rng: np.random.Generator) -> dict:
    if record["status"] != "ok":
        return record
    frames = record["result"]["frames"]
    for stage in STAGES:
        taken_ms, every = CALLS[stage]
        row = np.zeros(frames, dtype=np.int64)
        row[::every] = 1e6 * taken_ms * rng.lognormal(0.0, 0.25, len(row[::every]))
        record["result"]["timings_ns"][stage] = row.tolist()
    at_s = np.arange(0, frames / FPS / 8, 1.0)
    record["health"] = {
        "seconds": float(at_s[-1] + 1),
        "points": [
            {"at_s": float(s), "temperature_c": 48 + 9 * s / (s + 4), "slowest_mhz": 1500.0}
            for s in at_s
        ],
    }
    record["host"] = {"cpu": "made", "machine": "x86_64", "python": "3.11"}
    return record


def add_history(folder: Path, runs: int) -> None:
    """Put so many runs into the history beside the folder, all alike; the last is the folder's."""
    cases, kept = load_cases(folder), read_run(folder)
    with History(folder.parent / HISTORY_FILE, create=True) as history, history.all_or_nothing():
        for number in range(1, runs + 1):
            name = folder if number == runs else folder.with_name(f"before{number:03}")
            commit, started = f"{number:04}c0ffee", f"2025-12-{number:02}T00:00:00+00:00"
            history.put_run(name, replace(kept, commit=commit, dirty=False, started=started))
            for case in cases:
                history.put_case(name, case, kept.gates[case.case])


def _judged(folder: Path) -> RunFile:
    gates = {}
    for run in load_cases(folder):
        figures = {
            MAE: (score(run.scored).overall.mae_bpm, MAX_MAE_BPM),
            RTF: (measure(run.times).real_time_factor, MAX_RTF),
        }
        gates[run.case] = tuple(
            GateResult(gate, figure, limit, Outcome.of(figure <= limit), f"{gate} of made records")
            for gate, (figure, limit) in figures.items()
        )
    return RunFile(started="2026-01-01T00:00:00+00:00", finished=True, gates=gates)


@contextmanager
def browser(profile: Path) -> Iterator[webdriver.Chrome]:
    """Chromium of this system with a profile of its own. Raises UserError where there is none."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise UserError("no chromium or chromedriver here; run scripts/system-packages chromium")
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield opened
    finally:
        opened.quit()


def load_ms(opened: webdriver.Chrome, page: Path) -> tuple[float, float | None]:
    """(until all is loaded, until something is painted) of one opening of the page."""
    opened.get("about:blank")
    opened.get(page.resolve().as_uri())
    for _ in range(50):
        loaded, painted = opened.execute_script(TIMES)
        if loaded and painted:
            break
        time.sleep(0.02)
    return loaded, painted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=100)
    parser.add_argument("--variants", default="float32,dynamic,int8")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--loads", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        variants = options.variants.split(",")
        make_run(folder, options.recordings, variants, options.seconds)
        add_history(folder, LAST)
        start = time.perf_counter()
        runs = load_cases(folder)
        read_s = time.perf_counter() - start
        page = write_page(runs, read_run(folder), folder, Path("datasets.yaml"))
        made_s = time.perf_counter() - start
        size = page.stat().st_size
        try:
            with browser(Path(temporary) / "profile") as opened:
                times = [load_ms(opened, page) for _ in range(options.loads)]
        except UserError as bad:
            sys.exit(str(bad))
    loads = [loaded for loaded, _ in times]
    paints = [painted for _, painted in times if painted is not None]
    print(
        f"{options.recordings} synthetic recordings of {options.seconds:g} s, "
        f"{len(variants)} forms, {LAST} runs"
    )
    print(f"page            {size:>10,} bytes")
    print(f"written in      {made_s:>10.1f} s, of it {read_s:.1f} s reading records")
    print(f"loaded in       {statistics.median(loads):>10.0f} ms median, {max(loads):.0f} at most")
    if paints:
        print(
            f"first painted   {statistics.median(paints):>10.0f} ms median, {max(paints):.0f} most"
        )
    fits = size < MAX_BYTES and max(loads) < 1e3 * MAX_LOAD_S
    print(f"below {MAX_BYTES:,} bytes and {MAX_LOAD_S:g} s: {'yes' if fits else 'NO'}")
    return 0 if fits else 1


if __name__ == "__main__":
    sys.exit(main())
