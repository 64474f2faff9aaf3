"""Face detectors, each behind one small interface: an RGB frame in, faces out."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple, Type

import cv2
import numpy as np

from rppg_core.errors import ModelError, UserError

MOST_OUTSIDE = 0.1  # a box with a larger share of its area outside the frame is rejected
MAX_OVERLAP = 0.3  # two boxes that overlap by more are one face


class Box(NamedTuple):
    """A rectangle in px: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: "Box") -> float:
        """Intersection over union with another box, 0 to 1."""
        right = min(self.x + self.width, other.x + other.width)
        bottom = min(self.y + self.height, other.y + other.height)
        across = max(0.0, right - max(self.x, other.x))
        down = max(0.0, bottom - max(self.y, other.y))
        both = self.width * self.height + other.width * other.height - across * down
        return across * down / both if both > 0 else 0.0


class Face(NamedTuple):
    """A detected face and its score (higher is surer; detectors' scales differ)."""

    box: Box
    score: float


class Detector(ABC):
    """Finds faces in one frame."""

    name: str
    file_names: Tuple[str, ...] = ()

    @abstractmethod
    def _find(self, rgb: np.ndarray) -> List[Face]:
        """Candidate faces, in px of `rgb` (height, width, 3) uint8."""

    def detect(self, rgb: np.ndarray) -> List[Face]:
        """Faces in `rgb` (h, w, 3) uint8, cut to the frame; any that leave it are dropped."""
        return self._inside(rgb, self._find(rgb))

    def detect_near(self, rgb: np.ndarray, box: Box) -> List[Face]:
        """Faces in `rgb`, when one was at `box` a moment ago; a detector may look there first."""
        return self.detect(rgb)

    @staticmethod
    def _inside(rgb: np.ndarray, faces: List[Face]) -> List[Face]:
        height, width = rgb.shape[:2]
        inside = []
        for box, score in faces:
            left, top = max(box.x, 0.0), max(box.y, 0.0)
            right = min(box.x + box.width, float(width))
            bottom = min(box.y + box.height, float(height))
            area = max(right - left, 0.0) * max(bottom - top, 0.0)
            if area > 0 and area >= (1 - MOST_OUTSIDE) * box.width * box.height:
                inside.append(Face(Box(left, top, right - left, bottom - top), score))
        return inside


class ResNetDetector(Detector):
    """ResNet-10 SSD by OpenCV, the paper's detector: 300x300, mean (104, 177, 123) BGR."""

    name = "resnet10-ssd"
    file_names = ("opencv_face_detector_uint8.pb", "opencv_face_detector.pbtxt")
    input_px = 300
    mean_bgr = (104.0, 177.0, 123.0)  # in the order of the blob, whatever the picture's
    least_score = 0.5
    margin = 0.25  # faces that fill the frame are found only with room around them
    near_input_px = 200
    near_span = 1.6  # side of the square searched around a face, over the face's longer side

    def __init__(self, files: Mapping[str, Path]) -> None:
        weights, config = (str(files[name]) for name in self.file_names)
        try:
            self._net = cv2.dnn.readNetFromTensorflow(weights, config)
        except cv2.error as bad:
            raise _unreadable(weights, bad) from None

    def detect_near(self, rgb: np.ndarray, box: Box) -> List[Face]:
        """Around `box` first, in a smaller input: less than half the work while a face stays."""
        side = self.near_span * max(box.width, box.height)
        left = max(0, int(box.x + box.width / 2 - side / 2))
        top = max(0, int(box.y + box.height / 2 - side / 2))
        cut = rgb[top : top + int(side), left : left + int(side)]
        near = [
            Face(found._replace(x=found.x + left, y=found.y + top), score)
            for found, score in self._inside(cut, self._infer(cut, self.near_input_px, 0.0))
        ]
        return near or self.detect(rgb)

    def _find(self, rgb: np.ndarray) -> List[Face]:
        return self._infer(rgb, self.input_px, self.margin)

    def _infer(self, rgb: np.ndarray, input_px: int, margin: float) -> List[Face]:
        height, width = rgb.shape[:2]
        inner_px = int(input_px / (1 + 2 * margin))
        inner = cv2.resize(rgb, (inner_px, inner_px), interpolation=cv2.INTER_AREA)
        edge = (input_px - inner_px) // 2
        padded = cv2.copyMakeBorder(inner, edge, edge, edge, edge, cv2.BORDER_CONSTANT)
        self._net.setInput(cv2.dnn.blobFromImage(padded, mean=self.mean_bgr, swapRB=True))
        found = self._net.forward()[0, 0]
        span, offset = padded.shape[0] / inner_px, edge / inner_px
        faces = []
        for score, left, top, right, bottom in found[:, 2:7]:
            if score < self.least_score:
                continue
            x, y = (left * span - offset) * width, (top * span - offset) * height
            box = Box(x, y, (right - left) * span * width, (bottom - top) * span * height)
            faces.append(Face(Box(*map(float, box)), float(score)))
        return faces


class YuNetDetector(Detector):
    """YuNet (Wu et al. 2023) by OpenCV's FaceDetectorYN."""

    name = "yunet"
    file_names = ("face_detection_yunet_2023mar.onnx",)
    longest_px = 320
    least_score = 0.6

    def __init__(self, files: Mapping[str, Path]) -> None:
        made: Any = getattr(cv2, "FaceDetectorYN", None)
        if made is None:
            raise UserError(f"YuNet needs OpenCV 4.5.4 or later, here is {cv2.__version__}")
        path = str(files[self.file_names[0]])
        try:
            self._net = made.create(path, "", (320, 320), self.least_score)
        except cv2.error as bad:
            raise _unreadable(path, bad) from None

    def _find(self, rgb: np.ndarray) -> List[Face]:
        small, scale = _fit(rgb, self.longest_px)
        self._net.setInputSize((small.shape[1], small.shape[0]))
        _, found = self._net.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        if found is None:
            return []
        return [Face(Box(*(float(v) / scale for v in row[:4])), float(row[14])) for row in found]


class HaarDetector(Detector):
    """Viola-Jones cascade that ships with OpenCV 4; needs no file."""

    name = "haar"
    longest_px = 240
    neighbours = 4
    smallest_px = 24

    def __init__(self, files: Mapping[str, Path]) -> None:
        folder = getattr(
            getattr(cv2, "data", None), "haarcascades", "/usr/share/opencv4/haarcascades/"
        )
        path = str(Path(folder) / "haarcascade_frontalface_default.xml")
        made: Any = getattr(cv2, "CascadeClassifier", None)
        self._cascade: Any = made(path) if made else None
        if self._cascade is None or self._cascade.empty():
            raise UserError(
                f"OpenCV {cv2.__version__} here has no Haar cascade ({path}); "
                "install opencv-python-headless<5 or name another detector"
            )

    def _find(self, rgb: np.ndarray) -> List[Face]:
        small, scale = _fit(rgb, self.longest_px)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        least = (self.smallest_px, self.smallest_px)
        boxes, counts = self._cascade.detectMultiScale2(
            grey, scaleFactor=1.1, minNeighbors=self.neighbours, minSize=least
        )
        return [
            Face(Box(*(float(v) / scale for v in box)), float(count))
            for box, count in zip(boxes, np.ravel(counts))
        ]


class BlazeFaceDetector(Detector):
    """BlazeFace short range (Bazarevsky et al. 2019) as TFLite: 128x128, 896 anchors."""

    name = "blazeface"
    file_names = ("blaze_face_short_range.tflite",)
    input_px = 128
    least_score = 0.5
    anchor_grids = ((16, 2), (8, 6))  # (cells a side, anchors a cell)

    def __init__(self, files: Mapping[str, Path]) -> None:
        from rppg_core.runtime import make_interpreter  # noqa: PLC0415 (only this one needs it)

        path = files[self.file_names[0]]
        self._interpreter = make_interpreter(path).interpreter
        inputs = self._interpreter.get_input_details()
        outputs = {tuple(d["shape"]): d["index"] for d in self._interpreter.get_output_details()}
        shape = (1, self.input_px, self.input_px, 3)
        if len(inputs) != 1 or tuple(inputs[0]["shape"]) != shape or (1, 896, 16) not in outputs:
            raise ModelError(f"{path}: not the short-range BlazeFace model; fetch it again")
        self._input = inputs[0]["index"]
        self._boxes, self._scores = outputs[(1, 896, 16)], outputs[(1, 896, 1)]
        self._anchors = np.concatenate(
            [
                np.repeat((np.stack(np.meshgrid(cells, cells), -1).reshape(-1, 2) + 0.5) / n, k, 0)
                for n, k in self.anchor_grids
                for cells in [np.arange(n)]
            ]
        )

    def _find(self, rgb: np.ndarray) -> List[Face]:
        height, width = rgb.shape[:2]
        side = max(height, width)
        x0, y0 = (side - width) // 2, (side - height) // 2
        square = cv2.copyMakeBorder(
            rgb, y0, side - height - y0, x0, side - width - x0, cv2.BORDER_CONSTANT
        )
        small = cv2.resize(square, (self.input_px, self.input_px), interpolation=cv2.INTER_AREA)
        self._interpreter.set_tensor(self._input, small[None].astype(np.float32) / 127.5 - 1.0)
        self._interpreter.invoke()
        raw = self._interpreter.get_tensor(self._scores)[0, :, 0]
        score = 1.0 / (1.0 + np.exp(-np.clip(raw, -80, 80)))
        keep = score >= self.least_score
        box = self._interpreter.get_tensor(self._boxes)[0, keep, :4] / self.input_px
        centre = (box[:, :2] + self._anchors[keep]) * side - (x0, y0)
        size = box[:, 2:] * side
        rows = np.concatenate([centre - size / 2, size], axis=1)
        return _suppress([Face(Box(*map(float, r)), float(s)) for r, s in zip(rows, score[keep])])


DETECTORS: Dict[str, Type[Detector]] = {
    kind.name: kind for kind in (ResNetDetector, YuNetDetector, HaarDetector, BlazeFaceDetector)
}


def make_detector(name: str, files: Mapping[str, Path]) -> Detector:
    """The detector `name`, with its model files by file name. Raises UserError, ModelError."""
    if name not in DETECTORS:
        raise UserError(f"unknown detector '{name}'; there are {', '.join(DETECTORS)}")
    kind: Any = DETECTORS[name]
    missing = [file for file in kind.file_names if file not in files]
    if missing:
        raise ModelError(f"detector '{name}' needs the file {missing[0]}, which was not given")
    made: Detector = kind(files)
    return made


def _fit(rgb: np.ndarray, longest_px: int) -> Tuple[np.ndarray, float]:
    """The frame made no longer than `longest_px`, and the scale that did it."""
    scale = min(1.0, longest_px / max(rgb.shape[:2]))
    if scale == 1.0:
        return rgb, scale
    width, height = (max(1, int(round(side * scale))) for side in (rgb.shape[1], rgb.shape[0]))
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), scale


def _suppress(faces: List[Face]) -> List[Face]:
    kept: List[Face] = []
    for face in sorted(faces, key=lambda f: -f.score):
        if all(face.box.overlap(other.box) <= MAX_OVERLAP for other in kept):
            kept.append(face)
    return kept


def _unreadable(path: str, bad: Exception) -> ModelError:
    reason = " ".join(str(bad).split())[:120]
    return ModelError(f"{path}: OpenCV cannot read this detector; fetch it again ({reason})")
