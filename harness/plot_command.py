"""`rppg-bench plots`: every plot of a run, from its records."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.datasets.registry import open_dataset
from harness.examine import study
from harness.replays import CaseRun
from harness.reports.pictures import Picture, picture
from harness.run_selection import HELP_WITH_CASES, add_history_options, select_one
from rppg_core.errors import UserError
from rppg_core.video import open_source


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    add = commands.add_parser("plots", help="every plot of a run, from its records")
    add.add_argument("run", metavar="RUN", help=HELP_WITH_CASES)
    add.add_argument("--out", type=Path, metavar="DIR", help="default: plots/ within the run")
    add.add_argument(
        "--thumbnails",
        action="store_true",
        help="show faces of real people too, not only of rendered clips",
    )
    add.add_argument("--datasets", type=Path, default=Path("datasets.yaml"), metavar="FILE")
    add_history_options(add)
    add.set_defaults(command=plots)


def plots(options: argparse.Namespace) -> int:
    """`rppg-bench plots RUN`: write every plot as PNG and SVG."""
    # Matplotlib takes a second to import, which no other command should.
    from harness.reports.plots import write_plots  # noqa: PLC0415

    selection = select_one(options, options.run)
    runs = [run for _, run in selection.load()]
    folder = options.out or selection.folders[0] / "plots"
    thumbnails = Thumbnails(runs, options.datasets, options.thumbnails)
    written = write_plots([study(run) for run in runs], folder, thumbnails)
    if not written:
        raise UserError(f"{options.run}: no record gives a heart rate; nothing to plot")
    for path in written:
        print(path)
    return 0


class Thumbnails:
    """Frames of recordings whose video is at hand and may be shown."""

    def __init__(self, runs: Sequence[CaseRun], datasets_file: Path, real_people: bool) -> None:
        """Show rendered faces, and with `real_people` those of real ones too."""
        self._boxes: dict[tuple[str, str], Any] = {}
        self._videos: dict[str, dict[str, Path]] = {}
        for run in runs:
            if not (run.synthetic or real_people):
                continue
            videos = _videos(run.case.dataset, datasets_file, real_people)
            self._videos.setdefault(run.case.dataset, videos)
            for one in run.replays:
                boxes = one.record.raw.get("result", {}).get("boxes", ())
                self._boxes[run.case.dataset, one.recording] = next(
                    (b for b in boxes if b["box"] is not None), None
                )

    def __call__(self, dataset: str, recording: str) -> Picture | None:
        """The first frame with a face, or None."""
        video = self._videos.get(dataset, {}).get(recording)
        box = self._boxes.get((dataset, recording))
        if video is None or box is None:
            return None
        try:
            with open_source(video) as source:
                for frame in source:
                    if frame.number >= box["frame"]:
                        return picture(frame.rgb, box["box"])
        except UserError:
            pass  # not fetched, or cut short; a plot without a face says as much
        return None


def _videos(dataset: str, datasets_file: Path, real_people: bool) -> dict[str, Path]:
    """The videos that are of that name now; whatever records say, real people's only if asked."""
    try:
        known = open_dataset(dataset, datasets_file)
        if not (known.synthetic or real_people):
            return {}
        return {one.id: one.video for one in known.recordings()}
    except UserError:
        return {}  # the records are enough for everything else
