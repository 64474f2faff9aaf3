"""What the two UBFC-rPPG sets share: one folder for each subject, a video and labels in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.datasets.base import Recording, natural_key
from rppg_core.errors import UserError


def list_recordings(
    name: str, root: Path, pattern: str, video: str, labels: str, examples: Sequence[str]
) -> list[Recording]:
    """Folders below `root` named like `pattern` that hold a `video` or a `labels` file.

    `video` may be a pattern too. UserError where there is none; `examples` are folders that the
    dataset should have.
    """
    if not root.is_dir():
        raise UserError(f"dataset {name}: no folder {root}; correct its root")
    found = []
    for folder in sorted(root.glob(pattern + "/"), key=lambda path: natural_key(path.name)):
        label_file, videos = folder / labels, sorted(folder.glob(video))
        if videos or label_file.is_file():
            path = videos[0] if videos else folder / video.replace("*", "")
            found.append(Recording(folder.name, folder.name, path, label_file=label_file))
    if not found:
        raise UserError(
            f"dataset {name}: no folder with {video} or {labels} in {root}; root must be the "
            f"folder that holds {', '.join(examples)}, ..."
        )
    return found


def absent_parts(found: Sequence[Recording], subjects: Sequence[str]) -> list[str]:
    """One line for each of `subjects` without a folder, and for each video or label file."""
    there = {recording.id for recording in found}
    lines = [f"{subject}: not here" for subject in subjects if subject not in there]
    for recording in found:
        for path in (recording.video, recording.label_file):
            if path is not None and not path.is_file():
                lines.append(f"{recording.id}: no {path.name}")
    return sorted(lines, key=natural_key)
