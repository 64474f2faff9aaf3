"""A model file's card: what the network inside a .tflite file is and what was made into it.

The card is JSON in a zip archive appended to the flatbuffer, the way TFLite metadata attaches
files: a runtime reads the model from the front and ignores the tail, `zipfile` finds the archive
from the end. It holds the SHA-256 of the flatbuffer, so that a model altered after it was made is
not taken for what its card says.
"""

import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Dict, Tuple, Union

from rppg_core.errors import ModelError

MODEL_SCHEMA = "rppg-model/2"  # 2: `flatbuffer_sha256` covers the flatbuffer
CARD_NAME = "rppg.json"
TFLITE_IDENTIFIER = b"TFL3"  # file identifier of the TFLite flatbuffer schema, version 3
IDENTIFIER_AT = slice(4, 8)  # bytes; where every flatbuffer keeps its identifier
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold: no clock in the bytes
PREPROCESSING = "mtts-can"  # the only one there is: rppg_core.preprocess, after Liu et al. 2020

# A model is one file, or the two halves of a full-integer one: rppg_core.tscan_int8.
WHOLE, MOTION, APPEARANCE = "whole", "motion", "appearance"
FORMS = (WHOLE, MOTION, APPEARANCE)

PULSE, RESPIRATION = "pulse", "respiration"
SIGNALS = (PULSE, RESPIRATION)  # what a model gives the derivative of; a card's `signal`

FIELDS = {
    "schema": str,
    "architecture": str,
    "variant": str,
    "window": int,  # frames
    "appearance": str,
    "signal": str,
    "inputs": dict,  # name -> shape
    "preprocessing": str,
    "weights": str,
    "weights_sha256": str,
    "converter": str,
    "flatbuffer_sha256": str,  # of the flatbuffer; `attach_card` fills it in
}


def attach_card(tflite: bytes, card: Dict[str, Any]) -> bytes:
    """The model `tflite` followed by its card; the same arguments give the same bytes.

    The card's `flatbuffer_sha256` becomes that of `tflite`, whatever it was.
    Raises ModelError where `tflite` is no bare TFLite model or a field of the card is missing.
    """
    if tflite[IDENTIFIER_AT] != TFLITE_IDENTIFIER:
        raise ModelError("a card can be attached to a TFLite model only")
    if zipfile.is_zipfile(io.BytesIO(tflite)):
        raise ModelError("this model already carries attached files: attach the card to a bare one")
    card = {**card, "flatbuffer_sha256": hashlib.sha256(tflite).hexdigest()}
    _check(card, "this card")
    member = zipfile.ZipInfo(CARD_NAME, ZIP_EPOCH)
    member.create_system = 3  # Unix, wherever this runs
    member.external_attr = 0o644 << 16
    out = io.BytesIO(tflite)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(member, json.dumps(card, indent=1, sort_keys=True) + "\n")
    return out.getvalue()


def read_card(path: Union[str, Path]) -> Dict[str, Any]:
    """The card of the model file at `path`, every field of `FIELDS` present and of its type.

    Raises ModelError, one line, for a file that is missing, is no TFLite model, carries no card
    or carries one of another schema or of another model.
    """
    try:
        with Path(path).open("rb") as file:
            card, body_sha256 = _card_and_body(file, path)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model file") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    except KeyError:
        raise ModelError(f"{path}: its attached files hold no {CARD_NAME}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        detail = str(error).replace("\n", " ")
        raise ModelError(f"{path}: its card is damaged ({detail})") from None
    checked = _check(card, str(path))
    if checked["flatbuffer_sha256"] != body_sha256:
        raise ModelError(
            f"{path}: altered after it was made (its SHA-256 is not its card's); make or copy it "
            "again"
        )
    return checked


def has_card(path: Union[str, Path]) -> bool:
    """Whether the file at `path` says that a card is in it; `read_card` says if it holds."""
    try:
        with zipfile.ZipFile(str(path)) as archive:
            return CARD_NAME in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def form_of(card: Dict[str, Any], path: Union[str, Path]) -> str:
    """Which of FORMS the model at `path` has, by its card. Raises ModelError for any other."""
    form = card.get("form", WHOLE)
    if form not in FORMS:
        raise ModelError(f"{path}: of the form {form!r}; this program knows {', '.join(FORMS)}")
    return str(form)


def _card_and_body(file: BinaryIO, path: Union[str, Path]) -> Tuple[Any, str]:
    """The card in an open model file, not yet checked, and the SHA-256 of what lies before it."""
    if file.read(IDENTIFIER_AT.stop)[IDENTIFIER_AT] != TFLITE_IDENTIFIER:
        raise ModelError(f"{path}: not a TFLite model")
    if not zipfile.is_zipfile(file):
        raise ModelError(
            f"{path}: a TFLite model without a card ({CARD_NAME}), or cut short: make it with "
            "`rppg quantize`"
        )
    with zipfile.ZipFile(file) as archive:
        card = json.loads(archive.read(CARD_NAME).decode("utf-8"))
        end = min(member.header_offset for member in archive.infolist())
    file.seek(0)
    return card, hashlib.sha256(file.read(end)).hexdigest()


def _check(card: Any, whose: str) -> Dict[str, Any]:
    if not isinstance(card, dict):
        raise ModelError(f"{whose}: its card is not a JSON object")
    if card.get("schema") != MODEL_SCHEMA:
        raise ModelError(
            "{}: its card is of schema {!r}, this program reads {!r}; make the model again with "
            "`rppg quantize`".format(whose, card.get("schema"), MODEL_SCHEMA)
        )
    for name, kind in FIELDS.items():
        if not isinstance(card.get(name), kind) or isinstance(card[name], bool):
            raise ModelError(
                f"{whose}: its card's {name!r} is missing or not of type {kind.__name__}"
            )
    return card
