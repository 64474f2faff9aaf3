import hashlib
import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rppg_core.errors import ModelError
from rppg_core.model_card import CARD_NAME, FIELDS, MODEL_SCHEMA, attach_card, has_card, read_card

BARE = b"\x1c\x00\x00\x00TFL3" + bytes(range(256)) * 8
CARD = {
    "schema": MODEL_SCHEMA,
    "architecture": "ts-can",
    "variant": "float32",
    "window": 10,
    "appearance": "window-mean",
    "signal": "pulse",
    "inputs": {"motion": [10, 36, 36, 3], "appearance": [1, 36, 36, 3]},
    "preprocessing": "mtts-can",
    "weights": "tscan-afrl",
    "weights_sha256": "0" * 64,
    "converter": "tensorflow 2.21.0",
    "flatbuffer_sha256": hashlib.sha256(BARE).hexdigest(),
}


def one_line(path):
    with pytest.raises(ModelError) as caught:
        read_card(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def written(tmp_path, data):
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    return path


def test_a_card_comes_back_and_the_model_stays_as_it_was(tmp_path):
    data = attach_card(BARE, CARD)
    assert data.startswith(BARE)
    assert read_card(written(tmp_path, data)) == CARD
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == [CARD_NAME]
        assert archive.testzip() is None


@given(st.text(), st.integers(0, 1 << 20))
def test_any_text_comes_back_and_bytes_depend_on_nothing_else(tmp_path_factory, name, window):
    card = {**CARD, "weights": name, "window": window}
    data = attach_card(BARE, card)
    assert data == attach_card(BARE, dict(reversed(list(card.items()))))
    assert read_card(written(tmp_path_factory.mktemp("card"), data)) == card


def test_only_a_bare_model_takes_a_card():
    with pytest.raises(ModelError, match="TFLite model only"):
        attach_card(b"GGUF" + BARE, CARD)
    with pytest.raises(ModelError, match="already carries"):
        attach_card(attach_card(BARE, CARD), CARD)


@pytest.mark.parametrize("name", sorted(FIELDS.keys() - {"flatbuffer_sha256"}))
def test_a_card_without_a_field_is_neither_attached_nor_read(tmp_path, name):
    card = {key: value for key, value in CARD.items() if key != name}
    with pytest.raises(ModelError, match=name):
        attach_card(BARE, card)
    data = attach_card(BARE, CARD)
    stored = json.dumps(CARD, indent=1, sort_keys=True) + "\n"
    spoilt = stored.replace(f'"{name}"', f'"{name[::-1]}"', 1)  # same length, other key
    out = io.BytesIO(BARE)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(CARD_NAME, spoilt)
    assert len(out.getvalue()) == len(data)
    assert name in one_line(written(tmp_path, out.getvalue()))


@given(st.integers(8, len(BARE) - 1), st.integers(1, 255))
def test_a_model_altered_in_any_byte_is_refused(tmp_path_factory, at, change):
    data = bytearray(attach_card(BARE, CARD))
    data[at] ^= change
    path = written(tmp_path_factory.mktemp("altered"), bytes(data))
    assert "altered after it was made" in one_line(path)


def test_a_model_made_longer_or_shorter_before_its_card_is_refused(tmp_path):
    attached = attach_card(BARE, CARD)[len(BARE) :]
    for body in (BARE + b"\0", BARE[:-1], BARE[:900]):
        one_line(written(tmp_path, body + attached))


def test_a_card_is_of_the_model_it_is_attached_to():
    other = {**CARD, "flatbuffer_sha256": "0" * 64}
    assert attach_card(BARE, other) == attach_card(BARE, CARD)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("rppg-model/1", "make the model again with `rppg quantize`"),
        (MODEL_SCHEMA, "flatbuffer_sha256"),
    ],
)
def test_a_card_that_covers_no_model_is_refused(tmp_path, schema, said):
    out = io.BytesIO(BARE)
    card = {key: value for key, value in CARD.items() if key != "flatbuffer_sha256"}
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(CARD_NAME, json.dumps({**card, "schema": schema}))
    assert said in one_line(written(tmp_path, out.getvalue()))


def test_whether_there_is_a_card(tmp_path):
    assert has_card(written(tmp_path, attach_card(BARE, CARD)))
    assert not has_card(written(tmp_path, BARE))
    assert not has_card(tmp_path / "absent.tflite")


def test_files_that_hold_no_card(tmp_path):
    assert "no such model file" in one_line(tmp_path / "absent.tflite")
    assert "cannot be read" in one_line(tmp_path)
    assert "not a TFLite model" in one_line(written(tmp_path, b""))
    assert "not a TFLite model" in one_line(written(tmp_path, b"version https://git-lfs"))
    assert "without a card" in one_line(written(tmp_path, BARE))
    other = io.BytesIO(BARE)
    with zipfile.ZipFile(other, "a") as archive:
        archive.writestr("labels.txt", "pulse")
    assert f"hold no {CARD_NAME}" in one_line(written(tmp_path, other.getvalue()))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"schema": "rppg-model/2"}', "[" * 9999])
def test_members_that_are_no_card(tmp_path, text):
    out = io.BytesIO(BARE)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(CARD_NAME, text)
    one_line(written(tmp_path, out.getvalue()))


def test_a_file_cut_or_altered_anywhere_in_its_card_is_refused(tmp_path):
    data = attach_card(BARE, CARD)
    for end in range(len(BARE), len(data)):
        one_line(written(tmp_path, data[:end]))
    start = data.index(b'"architecture"')
    for at in range(start, start + 300):
        one_line(written(tmp_path, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]))
