"""Faults of the pipeline, each a few lines changed in a copy of `rppg_core`.

The shipped code has no switch for any of them. See `seeded_faults.py`.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.boards.base import PACKAGE_ROOT
from rppg_core.errors import UserError

FLOAT, INT8 = "float32", "int8"
CLIPS, PANNED = "synthetic-clips", "synthetic-panned"


@dataclass(frozen=True)
class Patch:
    """Every `old` in a file of the pipeline becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Fault:
    """A broken pipeline, the form of the model and the clips that show it, the stage at fault."""

    name: str
    patches: tuple[Patch, ...]
    stage: str
    variant: str = FLOAT
    dataset: str = CLIPS


def broken_copy(fault: Fault, folder: Path) -> Path:
    """Copy the pipeline below `folder` and break it. Raises UserError if a patch has no effect."""
    copy = folder / fault.name.replace(" ", "-") / PACKAGE_ROOT.name
    shutil.copytree(PACKAGE_ROOT, copy, ignore=shutil.ignore_patterns("__pycache__", "lightening"))
    for patch in fault.patches:
        source = copy / patch.file
        text = source.read_text(encoding="utf-8")
        if patch.old not in text or patch.old == patch.new:
            raise UserError(
                f"fault {fault.name!r}: {patch.file} has no line {patch.old.strip()!r} any more; "
                "mend the patch, or the fault is not made"
            )
        source.write_text(text.replace(patch.old, patch.new), encoding="utf-8")
    return copy


def slowed(percent: float) -> Fault:
    """Every frame takes so much longer, the time spent in preprocessing."""
    waits = (
        "        estimate = self._estimate()\n"
        '        with self._timed("preprocess"):\n'
        "            taken = sum(row[-1] for row in self._timings.values())\n"
        f"            end = self._clock_ns() + int({percent / 100!r} * taken)\n"
        "            while self._clock_ns() < end:\n"
        "                pass\n"
        "        return estimate\n"
    )
    name = f"slower by {percent:g} %"
    return Fault(
        name, (Patch("pipeline.py", "        return self._estimate()\n", waits),), "preprocess"
    )


FRAME = "            yield Frame(number, time_s, rgb)\n"
SHIFT = (
    "    moved[:-1, ..., 0] = motion[1:, ..., 0]\n"
    "    moved[1:, ..., 1] = motion[:-1, ..., 1]\n"
    "    moved[..., 2] = motion[..., 2]\n"
)
PREDICTION = "        return self._network.predict(motion, appearance)\n"
NOISY = (
    "        found = self._network.predict(motion, appearance)\n"
    "        noise = np.random.default_rng().standard_normal(self.window) * 0.02 * found.std()\n"
    "        return found + noise.astype(np.float32)\n"
)
FIRST = "        before = self._last_small\n"
# As much again as the process holds by then.
HOARD = (
    "        if self._last_small is None:\n"
    "            from rppg_core.memory import peak_memory_bytes\n"
    "            self._hoard = np.ones(peak_memory_bytes() // 8)\n"
)

FAULTS = (
    Fault(
        "swapped channels",
        (Patch("video.py", "cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)", "bgr"),),
        "decode",
    ),
    Fault(
        "assumed 30 fps",
        (Patch("video.py", FRAME, FRAME.replace("time_s", "number / 30.0")),),
        "decode",
    ),
    Fault(
        "stale face box",
        (
            Patch(
                "tracking.py",
                "        if self._box is None or self._box.overlap(face.box) < STILL_OVERLAP:\n",
                "        if self._box is None:\n",
            ),
        ),
        "detect",
        dataset=PANNED,
    ),
    Fault(
        "wrong mean subtraction",
        (
            Patch(
                "preprocess.py",
                "        appearance = (frames - np.float32(mean))",
                "        appearance = (frames - np.float32(0.0))",
            ),
        ),
        "preprocess",
    ),
    Fault(
        "off-by-one window",
        (
            Patch(
                "pipeline.py",
                "        for value in values[-self._pending :].tolist():\n",
                "        for value in np.roll(values, 1)[-self._pending :].tolist():\n",
            ),
        ),
        "predict",
    ),
    Fault(
        "missing temporal shift",
        (Patch("tscan_int8.py", SHIFT, "    moved[:] = motion\n"),),
        "predict",
        INT8,
    ),
    Fault(
        "dropped attention normalisation",
        (
            Patch(
                "tscan_int8.py",
                "mask * (MASK_MEAN / mask.mean(axis=(1, 2), keepdims=True))",
                "mask",
            ),
        ),
        "predict",
        INT8,
    ),
    Fault("doubled memory", (Patch("preprocess.py", FIRST, HOARD + FIRST),), "preprocess"),
    Fault("nondeterminism", (Patch("tscan.py", PREDICTION, NOISY),), "predict"),
)
