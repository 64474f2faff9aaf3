"""`rppg`: the pipeline on one video, and the model files it needs."""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import cv2

from rppg_core import extensions, models
from rppg_core.errors import UserError
from rppg_core.faces import DETECTORS, Detector, make_detector
from rppg_core.live import Options, show
from rppg_core.model_card import PULSE, SIGNALS
from rppg_core.pipeline import STAGES, Pipeline, Result, Settings
from rppg_core.postprocess import HIGH_HZ, LOW_HZ, METHODS, PulseSettings, quality
from rppg_core.preprocess import ENLARGEMENT
from rppg_core.runtime import RUNTIMES
from rppg_core.tracking import DETECT_EVERY_FRAMES, TrackSettings
from rppg_core.tscan import TSCAN
from rppg_core.tscan_int8 import partner_of
from rppg_core.video import open_source

ALL = "all"
EDGE_TPU, EDGE_TPU_COMPILER = "int8-edgetpu", "edgetpu_compiler"
TRAINING_STEPS, LEARNING_RATE = 800, 1e-3


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the command line; returns the exit status (2 for a user's mistake)."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser(given).parse_args(given)
        status: int = options.command(options)
        return status
    except UserError as bad:
        sys.stderr.write(f"rppg: {bad}\n")
        return 2
    except OSError as bad:
        sys.stderr.write(f"rppg: {bad.filename or 'output'}: {bad.strerror}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def run(options: argparse.Namespace) -> int:
    """`rppg run`: the heart rate of one video."""
    settings = Settings(
        track=TrackSettings(detect_every_frames=options.detect_every),
        enlargement=options.enlargement,
        pulse=PulseSettings(low_hz=options.low_hz, high_hz=options.high_hz, method=options.method),
    )
    plot = Path(options.plot) if options.plot is not None else None
    if plot is not None:
        from rppg_core.plot import check_plot, plot_result  # noqa: PLC0415 (only when asked for)

        check_plot(plot)
    cv2.setNumThreads(options.threads)
    with open_source(options.video, fps=options.fps, threads=options.threads) as source:
        detector, found, name, model = _chosen(options)
        result = Pipeline(found, model, settings).run(source)
    if plot is not None:
        plot_result(result, settings.pulse, Path(options.video).name, plot)
    if options.json:
        print(json.dumps(_summary(result, name, model, detector, settings)))
    else:
        print(_report(result, name, model, detector))
    return 0


def live(options: argparse.Namespace) -> int:
    """`rppg live`: heart rate, pulse wave and quality while a camera or a video runs."""
    if options.video is not None and options.camera is not None:
        raise UserError(f"a camera or a video; leave out --camera or {options.video}")
    cv2.setNumThreads(options.threads)
    asked: Union[str, int] = options.camera or 0
    if options.video is not None:
        asked = options.video
    with open_source(asked, fps=options.fps, threads=options.threads) as source:
        title = str(source) if options.video is None else Path(options.video).name
        _, detector, _, model = _chosen(options)
        how = Options(options.fast, options.seconds, not options.no_window)
        show(source, title, Pipeline(detector, model), how, sys.stdout)
    return 0


def _chosen(options: argparse.Namespace) -> Tuple[str, Detector, str, TSCAN]:
    """Detector and model by the options, each with its name; what is second best is said."""
    detector, files, remark = models.choose_detector(options.detector)
    if remark:
        sys.stderr.write(f"rppg: {remark}\n")
    named, variant = models.split_form(options.model, options.variant)
    chosen, remark = models.choose_model(named)
    if remark:
        sys.stderr.write(f"rppg: {remark}\n")
    name, path = models.tflite_file(chosen, variant)
    model = TSCAN(path, options.runtime, options.threads)
    model.require_pulse()
    return detector, make_detector(detector, files), name, model


def list_models(options: argparse.Namespace) -> int:
    """`rppg models`: what there is and where it lies; `--fetch` downloads."""
    for name in options.fetch:
        for path in models.fetch(name).values():
            print(path)
    if options.fetch:
        return 0
    for entry in models.REGISTRY.values():
        try:
            where = str(next(iter(models.find(entry.name).values())).parent)
        except UserError:
            where = "not here"
        size = sum(file.size_bytes for file in entry.files) / 1e6
        print(f"{entry.name:14} {entry.kind:9} {size:5.2f} MB  {entry.licence}: {entry.about}")
        print(f"{'':14} {where}")
    return 0


def quantize(options: argparse.Namespace) -> int:
    """`rppg quantize`: weights into one TFLite form, or all."""
    named = options.variant.split(",")
    wanted = models.VARIANTS if options.variant == ALL else tuple(dict.fromkeys(named))
    for variant in wanted:
        if variant not in models.VARIANTS:
            there = ", ".join(models.VARIANTS)
            raise UserError(f"unknown variant '{variant}'; there are {there} and {ALL}")
    if Path(options.weights).exists():
        weights, name = Path(options.weights), Path(options.weights).resolve().stem
    else:
        weights, name = models.weights_path(options.weights), options.weights
    calibration = _calibration(options) if set(wanted) & set(models.CALIBRATED) else None
    name += f"-{options.head}" if options.head != PULSE else ""
    options.out.mkdir(parents=True, exist_ok=True)
    for variant in wanted:
        if (
            options.variant == ALL
            and variant == EDGE_TPU
            and shutil.which(EDGE_TPU_COMPILER) is None
        ):
            print(f"{variant:12} left out: {EDGE_TPU_COMPILER} is not on PATH")
            continue
        target = options.out / models.model_file_name(f"{name}-{variant}", variant)
        models.make(weights, name, variant, target, options.window, calibration, options.head)
        files = [path for path in (target, partner_of(target)) if path is not None]
        size = sum(path.stat().st_size for path in files)
        print(f"{variant:12} {size:9,} bytes  {'  '.join(str(path) for path in files)}")
    return 0


def _calibration(options: argparse.Namespace) -> Path:
    """The file that full-integer models are calibrated with: the one named, or made now."""
    if options.calibration is not None:
        if options.calibration_dataset or options.subjects:
            raise UserError("--calibration names a file; leave out the dataset and its subjects")
        named: Path = options.calibration
        return named
    makers = extensions.load(extensions.CALIBRATION)
    if not makers:
        raise UserError("full-integer models need --calibration FILE (of `rppg-bench calibrate`)")
    path: Path = next(iter(makers.values()))(
        options.window, options.calibration_dataset, options.subjects, options.datasets
    )
    return path


def inspect(options: argparse.Namespace) -> int:
    """`rppg inspect`: what is in a TFLite file."""
    from rppg_core.lightening.inspection import inspect_model, report, to_json  # noqa: PLC0415

    found = [inspect_model(path) for path in options.models]
    if options.json:
        print(json.dumps([to_json(one) for one in found], indent=1))
        return 0
    for number, one in enumerate(found):
        print("\n" * bool(number) + report(one))
    if len(found) > 1:
        operators = sum(len(one.operators) for one in found)
        mapped = sum(not op.refused for one in found for op in one.operators)
        print(
            f"\nin all: {sum(one.size_bytes for one in found):,} bytes, {operators} operators, "
            f"{100 * mapped / max(operators, 1):.0f} % of them for an Edge TPU, "
            f"{sum(one.macs for one in found) / 1e6:.1f} million multiply-accumulates"
        )
    return 0


def train(options: argparse.Namespace) -> int:
    """`rppg train`: TS-CAN weights out of shards of face crops."""
    try:
        from rppg_core.lightening import train as training  # noqa: PLC0415 (needs TensorFlow)
    except ModuleNotFoundError as missing:
        raise UserError(
            f"training needs TensorFlow (no {missing.name}): pip install -e '.[lightening]'"
        ) from None
    settings = training.TrainSettings(
        steps=options.steps,
        learning_rate=options.learning_rate,
        seed=options.seed,
        start=options.start,
    )
    print(training.train(options.shards, options.out, options.validation, settings))
    return 0


def _summary(
    result: Result, name: str, model: TSCAN, detector: str, settings: Settings
) -> Dict[str, Any]:
    return {
        "bpm": result.bpm,
        "snr_db": result.snr_db,
        "quality": quality(result.snr_db),
        "fps": result.fps,
        "frames": result.frames,
        "duration_s": result.duration_s,
        "lost_s": result.lost_s,
        "real_time_factor": result.real_time_factor,
        "stages_ms": {k: v / 1e6 for k, v in _totals_ns(result).items()},
        "stages_ms_per_frame": {k: v / 1e6 / result.frames for k, v in _totals_ns(result).items()},
        "windows": [window._asdict() for window in result.windows],
        "model": name,
        "model_sha256": model.sha256,
        "runtime": f"{model.runtime.name} {model.runtime.version}",
        "detector": detector,
        "settings": settings.to_dict(),
    }


def _report(result: Result, name: str, model: TSCAN, detector: str) -> str:
    rating = quality(result.snr_db)
    lines = [
        f"heart rate  {result.bpm:.1f} bpm   (SNR {result.snr_db:.1f} dB, {rating})",
        f"video       {result.frames} frames, {result.duration_s:.1f} s, {result.fps:.2f} fps",
        f"with        {name} on {model.runtime.name} {model.runtime.version}, faces by {detector}",
    ]
    if result.lost_s:
        lines.append(f"no face     for {result.lost_s:.1f} s")
    totals = _totals_ns(result)
    stages = ", ".join(f"{k} {v / 1e6 / result.frames:.2f}" for k, v in totals.items())
    lines.append(f"real-time   factor {result.real_time_factor:.3f}; ms a frame: {stages}")
    return "\n".join(lines)


def _totals_ns(result: Result) -> Dict[str, float]:
    return {stage: float(result.timings_ns[stage].sum()) for stage in STAGES}


def _parser(given: List[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rppg", description="Heart rate from a face video.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("run", help="the heart rate of one video")
    one.add_argument("video", help="a video file, a folder of images, or a camera's index")
    _add_choices(one)
    one.add_argument("--detect-every", type=int, default=DETECT_EVERY_FRAMES, metavar="FRAMES")
    one.add_argument("--enlargement", type=float, default=ENLARGEMENT, help="crop over face box")
    one.add_argument("--low-hz", type=float, default=LOW_HZ, help="lower end of the band")
    one.add_argument("--high-hz", type=float, default=HIGH_HZ, help="upper end of the band")
    one.add_argument("--method", default="fft", help=", ".join(METHODS))
    one.add_argument("--json", action="store_true", help="one JSON object instead of text")
    one.add_argument("--plot", metavar="FILE", help="draw pulse and spectrum into FILE")
    one.set_defaults(command=run)
    seen_live = commands.add_parser("live", help="the heart rate while a camera or video runs")
    seen_live.add_argument("video", nargs="?", help="a video file or a folder of images")
    seen_live.add_argument("--camera", type=int, metavar="INDEX", help="a camera (default 0)")
    _add_choices(seen_live)
    seen_live.add_argument("--fast", action="store_true", help="do not wait for a video's frames")
    seen_live.add_argument("--seconds", type=float, metavar="N", help="stop after so long")
    seen_live.add_argument("--no-window", action="store_true", help="the terminal only")
    seen_live.set_defaults(command=live)
    listed = commands.add_parser("models", help="list model files, or fetch them")
    listed.add_argument("--fetch", nargs="+", default=[], metavar="NAME")
    listed.set_defaults(command=list_models)
    made = commands.add_parser("quantize", help="make TFLite models out of TS-CAN weights")
    made.add_argument(
        "--weights",
        required=True,
        help="a name, a TensorFlow.js folder, an .npz, MTTS-CAN .hdf5 or rPPG-Toolbox .pth file",
    )
    made.add_argument(
        "--variant", default=ALL, help=f"{ALL} or, comma-separated, {', '.join(models.VARIANTS)}"
    )
    made.add_argument("--window", type=int, default=models.WINDOW, metavar="FRAMES")
    made.add_argument(
        "--head", default=PULSE, choices=SIGNALS, help="of weights with two (default pulse)"
    )
    made.add_argument(
        "--calibration", type=Path, metavar="FILE", help="for int8: of `rppg-bench calibrate`"
    )
    made.add_argument(
        "--calibration-dataset", metavar="NAME", help="for int8: a dataset (default: own clips)"
    )
    made.add_argument("--subjects", default="", help="of that dataset, comma-separated")
    made.add_argument("--datasets", type=Path, default=Path("datasets.yaml"), metavar="FILE")
    made.add_argument("--out", type=Path, default=Path(), metavar="FOLDER")
    made.set_defaults(command=quantize)
    seen = commands.add_parser("inspect", help="operators, size and card of TFLite models")
    seen.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    seen.add_argument("--json", action="store_true", help="a JSON list of one object a model")
    seen.set_defaults(command=inspect)
    taught = commands.add_parser("train", help="train TS-CAN on shards of face crops")
    taught.add_argument("shards", help="a folder of .npz shards")
    taught.add_argument("--validation", required=True, help="a folder of shards to judge by")
    taught.add_argument("--out", required=True, help="where it writes; goes on from what is there")
    taught.add_argument("--start", default="", help="weights to start from (default: random ones)")
    taught.add_argument("--steps", type=int, default=TRAINING_STEPS)
    taught.add_argument("--learning-rate", type=float, default=LEARNING_RATE)
    taught.add_argument("--seed", type=int, default=1)
    taught.set_defaults(command=train)
    if not given or given[0] not in commands.choices:  # looking for others takes time
        for add in extensions.load(extensions.COMMANDS).values():
            add(commands)
    return parser


def _add_choices(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", default="auto", help="auto, NAME, NAME/VARIANT or a .tflite file")
    add("--variant", default="float32", help=", ".join(models.VARIANTS))
    add("--detector", default="auto", help=f"auto, {', '.join(DETECTORS)}")
    add("--runtime", default="auto", help=f"auto, {', '.join(RUNTIMES)}")
    add("--threads", type=int, default=1, help="CPU threads (default 1)")
    add("--fps", type=float, help="for a folder of images that carries no times")


if __name__ == "__main__":
    sys.exit(main())
