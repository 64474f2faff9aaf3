"""Model files by name: where they come from, how they are recognised, where they lie here.

Files are looked for in the folders of RPPG_MODELS (a search path, each folder looked through
recursively), then in the cache, then among those that come with the project. A file counts only if
its SHA-256 is the expected one.
"""

import contextlib
import hashlib
import http.client
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from rppg_core.errors import ModelError, UserError
from rppg_core.faces import DETECTORS
from rppg_core.model_card import PULSE
from rppg_core.tscan_int8 import MOTION_ENDING

SEARCH_PATH = "RPPG_MODELS"
FETCH_TIMEOUT_S = 30.0
PAIRS = ("int8", "int8-edgetpu")  # two files each: rppg_core.tscan_int8
CALIBRATED = (*PAIRS, "int8-naive")  # need windows of real inputs to be made
VARIANTS = ("float32", "float16", "dynamic", *CALIBRATED)
WINDOW = 10  # frames; what the published weights were trained on
Calibrate = Callable[[int], Path]  # frames of a window -> a calibration file
PREFERRED_MODEL, BUNDLED_MODEL = "tscan-afrl", "tscan-synthetic"
BUNDLED = Path(__file__).parent / "lightening" / "trained"  # models that come with the project
PREFERRED_DETECTOR, FILELESS_DETECTOR = "resnet10-ssd", "haar"
_OPENCV_3RDPARTY = "8033c2bc31b3256f0d461c919ecc01c2428ca03b"
_RPPG_WEB = "https://raw.githubusercontent.com/ubicomplab/rppg-web/master/public"


class ModelFile(NamedTuple):
    """One file of a model."""

    name: str
    address: str
    sha256: str
    size_bytes: int


class ModelEntry(NamedTuple):
    """A model: `kind` is `weights` (TS-CAN, to be made into TFLite), `bundled` (the same, and they
    come with the project, a TFLite form among them) or `detector`.
    """

    name: str
    kind: str
    files: Tuple[ModelFile, ...]
    licence: str
    about: str


_ENTRIES = (
    ModelEntry(
        "tscan-afrl",
        "weights",
        (
            ModelFile(
                "model.json",
                f"{_RPPG_WEB}/model.json",
                "14331621cc8fa596397ef0b9e872e4d0ddfcc2d033806b7b7db3ce869c485b28",
                13209,
            ),
            ModelFile(
                "group1-shard1of1.bin",
                f"{_RPPG_WEB}/group1-shard1of1.bin",
                "7022688dc8630b9d23e04a3aa773d2e6dd6951e0db573d5e60257fc8f23deb31",
                2131596,
            ),
        ),
        "none stated",
        "TS-CAN by its authors, pre-trained on AFRL, 10-frame windows",
    ),
    ModelEntry(
        "tscan-synthetic",
        "bundled",
        (
            ModelFile(
                "tscan-synthetic.npz",
                "",
                "edb37270af4093a6cb69e222e91ac6572348249c74897cc903d85493a38512fb",
                1072036,
            ),
            ModelFile(
                "tscan-synthetic-float32.tflite",
                "",
                "3f027630f8fb680cca2c11e1a7b6e26a66461c849b70dc01edb27a75315b51d3",
                2147105,
            ),
            ModelFile(
                "tscan-synthetic-int8.motion.tflite",
                "",
                "ef1d73aad4f4f6de28d293cbc427741e678309173097fa1caeae477bcb75871f",
                495913,
            ),
            ModelFile(
                "tscan-synthetic-int8.appearance.tflite",
                "",
                "1be75e1aadd54b99a60a8b05115fd3092726a4a5f327d005458db8d9d389d24e",
                80585,
            ),
        ),
        "the project's own",
        "TS-CAN trained on rendered faces, 10-frame windows",
    ),
    ModelEntry(
        "resnet10-ssd",
        "detector",
        (
            ModelFile(
                "opencv_face_detector_uint8.pb",
                "https://raw.githubusercontent.com/opencv/opencv_3rdparty/"
                f"{_OPENCV_3RDPARTY}/opencv_face_detector_uint8.pb",
                "5c71d752ef2cbf2f457ac82fdd580fcb2522fd04c5efdaed18eb6d9e2843fbed",
                2727750,
            ),
            ModelFile(
                "opencv_face_detector.pbtxt",
                "https://raw.githubusercontent.com/opencv/opencv_extra/4.x/testdata/dnn/"
                "opencv_face_detector.pbtxt",
                "5397808362fc6fb7c4044484848e297b22449d913a267fa7f8bd9d86dce29144",
                34912,
            ),
        ),
        "Apache-2.0 (weights: none stated)",
        "ResNet-10 SSD face detector, the paper's",
    ),
    ModelEntry(
        "yunet",
        "detector",
        (
            ModelFile(
                "face_detection_yunet_2023mar.onnx",
                "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/"
                "face_detection_yunet/face_detection_yunet_2023mar.onnx",
                "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
                232589,
            ),
        ),
        "MIT",
        "YuNet face detector",
    ),
    ModelEntry(
        "blazeface",
        "detector",
        (
            ModelFile(
                "blaze_face_short_range.tflite",
                "https://storage.googleapis.com/mediapipe-models/face_detector/"
                "blaze_face_short_range/float16/1/blaze_face_short_range.tflite",
                "b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f",
                229746,
            ),
        ),
        "Apache-2.0",
        "BlazeFace short-range face detector",
    ),
)
REGISTRY: Dict[str, ModelEntry] = {entry.name: entry for entry in _ENTRIES}


def entry(name: str) -> ModelEntry:
    """The registry's entry `name`. Raises UserError with the names that exist."""
    if name not in REGISTRY:
        raise UserError(f"unknown model '{name}'; there are {', '.join(REGISTRY)}")
    return REGISTRY[name]


def _weights_entry(name: str, or_else: str = "") -> ModelEntry:
    """The registry's entry of TS-CAN weights. Raises UserError with what there is instead."""
    known = [one.name for one in REGISTRY.values() if one.kind != "detector"]
    if name in known:
        return REGISTRY[name]
    there = f"there are {', '.join(known)}"
    if name in REGISTRY:
        raise UserError(f"'{name}' is a detector, not TS-CAN weights; {there}")
    if Path(name).exists():
        raise UserError(f"'{name}' is no .tflite model and no known weights; {there}")
    raise UserError(f"unknown model '{name}'; {there}{or_else}")


def cache_dir() -> Path:
    """Where fetched and made models are kept: XDG_CACHE_HOME or ~/.cache, then rppg/models."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "rppg" / "models"


def search_folders() -> List[Path]:
    """The folders models are looked for in, in order."""
    named = os.environ.get(SEARCH_PATH, "").split(os.pathsep)
    return [*(Path(folder).expanduser() for folder in named if folder), cache_dir(), BUNDLED]


def find(name: str) -> Dict[str, Path]:
    """The files of model `name`, by file name.

    Raises ModelError that says where it looked and how to get them.
    """
    wanted = entry(name)
    found: Dict[str, Path] = {}
    altered: List[Path] = []
    for file in wanted.files:
        for path in _named(file.name):
            if path.stat().st_size == file.size_bytes and sha256_of(path) == file.sha256:
                found[file.name] = path
                break
            altered.append(path)
    missing = [file.name for file in wanted.files if file.name not in found]
    if missing:
        looked = ", ".join(str(folder) for folder in search_folders())
        other = f" ({altered[0]} is another file of that name)" if altered else ""
        raise ModelError(
            f"model '{name}': no {missing[0]} in {looked}{other}; get it with "
            f"`rppg models --fetch {name}` or name its folder in {SEARCH_PATH}"
        )
    return found


def fetch(name: str) -> Dict[str, Path]:
    """Download what is missing of model `name` into the cache, verified. Raises ModelError."""
    with contextlib.suppress(ModelError):
        return find(name)
    for file in entry(name).files:
        target = cache_dir() / name / file.name
        if target.is_file() and sha256_of(target) == file.sha256:
            continue
        try:
            with urllib.request.urlopen(file.address, timeout=FETCH_TIMEOUT_S) as answer:
                content = answer.read(file.size_bytes + 1)
        except (OSError, ValueError, http.client.HTTPException) as bad:
            reason = " ".join(str(bad).split())
            raise ModelError(
                f"cannot fetch {file.address} ({reason}); fetch it elsewhere and name its folder "
                f"in {SEARCH_PATH}"
            ) from None
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise ModelError(f"{file.address} is not the expected file (SHA-256); nothing was kept")
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".part-{os.getpid()}-{target.name}")
        part.write_bytes(content)
        part.replace(target)
    return find(name)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def choose_detector(name: str) -> Tuple[str, Dict[str, Path], str]:
    """(detector, its files, a remark) for a detector's name or `auto`.

    `auto` is the paper's detector where its files are found, else the one that needs none; the
    remark says so then and is empty otherwise. A named detector is never exchanged.
    """
    if name != "auto":
        if name not in DETECTORS:
            raise UserError(f"unknown detector '{name}'; there are auto, {', '.join(DETECTORS)}")
        return name, find(name) if DETECTORS[name].file_names else {}, ""
    try:
        return PREFERRED_DETECTOR, find(PREFERRED_DETECTOR), ""
    except ModelError:
        remark = f"{PREFERRED_DETECTOR} was not found: detecting faces with {FILELESS_DETECTOR}"
        return FILELESS_DETECTOR, {}, f"{remark} (`rppg models --fetch {PREFERRED_DETECTOR}`)"


def choose_model(name: str) -> Tuple[str, str]:
    """(model, a remark) for a model's name, file or `auto`.

    `auto` is the published weights where they are found, else the ones that come along; the remark
    says so then and is empty otherwise. A named model is never exchanged.
    """
    if name != "auto":
        return name, ""
    try:
        find(PREFERRED_MODEL)
        return PREFERRED_MODEL, ""
    except ModelError:
        remark = f"{PREFERRED_MODEL} was not found: using {BUNDLED_MODEL} (trained on renderings)"
        return BUNDLED_MODEL, f"{remark}; `rppg models --fetch {PREFERRED_MODEL}`"


def split_form(model: str, variant: str = "float32") -> Tuple[str, str]:
    """(model, variant) where `model` may be NAME/VARIANT; files and plain names keep `variant`."""
    name, _, form = model.rpartition("/")
    if name not in (*REGISTRY, "auto") or model.endswith(".tflite"):
        return model, variant
    return name, form


def tflite_file(
    model: str, variant: str = "float32", calibrate: Optional[Calibrate] = None
) -> Tuple[str, Path]:
    """(name, TFLite file) of `model`: a .tflite path, or weights by name, made on first use.

    `calibrate` is asked for windows where a full-integer form has yet to be made; without it such
    a form must be there. Raises UserError, ModelError.
    """
    if model.endswith(".tflite"):
        path = Path(model).expanduser()
        if not path.is_file():
            raise ModelError(f"{path}: no such model file")
        return path.stem, path
    wanted = _weights_entry(model, "; or name a .tflite file")
    if variant not in VARIANTS:
        raise UserError(f"unknown variant '{variant}'; there are {', '.join(VARIANTS)}")
    ready = model_file_name(f"{model}-{variant}", variant)
    if any(file.name == ready for file in wanted.files):
        return f"{model}/{variant}", find(model)[ready]
    return f"{model}/{variant}", _made(model, variant, calibrate)


def _made(name: str, variant: str, calibrate: Optional[Calibrate]) -> Path:
    """The TFLite form of weights `name`, from the cache or made now."""
    folder = cache_dir() / "made"
    digest = hashlib.sha256("".join(f.sha256 for f in entry(name).files).encode())
    for source in sorted((Path(__file__).parent / "lightening").glob("*.py")):
        digest.update(source.read_bytes())  # another way of making it is another model
    target = folder / model_file_name(f"{name}-{variant}-{digest.hexdigest()[:12]}", variant)
    if target.is_file():
        return target
    weights = weights_path(name)
    calibration = None
    if variant in CALIBRATED:
        if calibrate is None:
            raise ModelError(
                f"there is no {variant} form of {name} here; make it with `rppg quantize --weights "
                f"{name} --variant {variant}` and give --model the .tflite file"
            )
        calibration = calibrate(WINDOW)
    folder.mkdir(parents=True, exist_ok=True)
    return make(weights, name, variant, target, calibration=calibration)


def weights_path(name: str) -> Path:
    """Where weights `name` lie: an .npz file or a TensorFlow.js folder. Raises ModelError."""
    first = next(iter(find(_weights_entry(name).name).values()))
    return first if first.suffix == ".npz" else first.parent


def model_file_name(stem: str, variant: str) -> str:
    """The name of a model's file; of a pair, of its motion half."""
    return stem + (MOTION_ENDING if variant in PAIRS else ".tflite")


def make(
    weights: Path,
    weights_name: str,
    variant: str,
    target: Path,
    window: int = WINDOW,
    calibration: Optional[Path] = None,
    head: str = PULSE,
) -> Path:
    """Make the TFLite form `variant` of `weights` at `target`, in a process of its own.

    `head` is the one to take of weights with two (`model_card.SIGNALS`). Full-integer variants need
    a `calibration` file. Raises ModelError.
    """
    program = ["rppg_core.lightening", "--weights", str(weights), "--weights-name", weights_name]
    program += ["--variant", variant, "--window", str(window), "--head", head]
    program += ["--out", str(target)]
    if calibration is not None and variant in CALIBRATED:
        program += ["--calibration", str(calibration)]
    refused = _run_program(program)
    if refused:
        raise ModelError(f"{weights_name} could not be made into a {variant} model: {refused}")
    return target


def _run_program(arguments: List[str]) -> str:
    """Run a Python module; the last line of what it says when it fails, else nothing."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or ["no reason given"])[-1]


def _named(file_name: str) -> Iterator[Path]:
    for folder in search_folders():
        if folder.is_dir():
            yield from sorted(p for p in folder.rglob(file_name) if p.is_file())
