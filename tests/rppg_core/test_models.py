import hashlib
import socket
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rppg_core import models
from rppg_core.errors import ModelError, UserError
from rppg_core.lightening.weights import load_npz, weights_sha256
from rppg_core.model_card import read_card
from rppg_core.models import ModelEntry, ModelFile
from rppg_core.pipeline import Pipeline
from rppg_core.tscan import TSCAN
from rppg_core.video import open_source

CONTENT = {"a.bin": b"weights " * 4000, "b.json": b'{"of": "a.bin"}\n'}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache and no search path."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("RPPG_MODELS", raising=False)
    return tmp_path / "cache" / "rppg" / "models"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path):
    """(folder, address) of a real web server."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def register(monkeypatch, address):
    files = tuple(
        ModelFile(name, f"{address}/{name}", hashlib.sha256(content).hexdigest(), len(content))
        for name, content in CONTENT.items()
    )
    entry = ModelEntry("toy", "detector", files, "MIT", "two files")
    monkeypatch.setitem(models.REGISTRY, "toy", entry)


@pytest.fixture
def toy(monkeypatch, site, cache):
    register(monkeypatch, site[1])
    return "toy"


def test_fetched_files_are_verified_kept_and_found(toy, site, cache):
    fetched = models.fetch(toy)
    assert {name: path.read_bytes() for name, path in fetched.items()} == CONTENT
    assert all(cache in path.parents for path in fetched.values())
    for name in CONTENT:
        (site[0] / name).unlink()
    assert models.fetch(toy) == fetched == models.find(toy)


@pytest.mark.parametrize("altered", [b"X" + CONTENT["a.bin"][1:], b"", CONTENT["a.bin"] + b"more"])
def test_an_altered_file_is_refused_and_not_kept(toy, site, cache, altered):
    (site[0] / "a.bin").write_bytes(altered)
    with pytest.raises(ModelError, match="not the expected file") as refused:
        models.fetch(toy)
    assert "\n" not in str(refused.value)
    assert not [p for p in cache.rglob("*") if p.is_file()]


def test_a_missing_page_is_one_line(toy, site):
    (site[0] / "b.json").unlink()
    with pytest.raises(ModelError, match=r"cannot fetch http://.*404.*RPPG_MODELS"):
        models.fetch(toy)


def test_a_server_that_is_not_there_is_one_line(monkeypatch, cache):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        register(monkeypatch, f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ModelError, match=r"cannot fetch .*refused"):
            models.fetch("toy")


@contextmanager
def rude_server(answer):
    """Answers the first connection with bytes of its own and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    "answer", [b"", b"what?\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 32000\r\n\r\nweig"]
)
def test_a_server_that_talks_nonsense_is_one_line(monkeypatch, cache, answer):
    with rude_server(answer) as address:
        register(monkeypatch, address)
        with pytest.raises(ModelError) as refused:
            models.fetch("toy")
    assert "\n" not in str(refused.value)
    assert not [p for p in cache.rglob("*") if p.is_file()]


def test_a_search_path_is_looked_through_in_order(toy, tmp_path, cache, monkeypatch):
    deep, second = tmp_path / "one" / "deep" / "er", tmp_path / "two"
    for folder in (deep, second):
        folder.mkdir(parents=True)
        for name, content in CONTENT.items():
            (folder / name).write_bytes(content)
    monkeypatch.setenv("RPPG_MODELS", f"{tmp_path / 'none'}::{tmp_path / 'one'}:{second}")
    assert {path.parent for path in models.find(toy).values()} == {deep}
    (deep / "a.bin").write_bytes(b"x" * len(CONTENT["a.bin"]))
    assert models.find(toy)["a.bin"].parent == second


def test_a_missing_model_says_where_it_looked(toy, tmp_path, cache, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.bin").write_bytes(b"other")
    monkeypatch.setenv("RPPG_MODELS", str(tmp_path / "mine"))
    with pytest.raises(ModelError) as refused:
        models.find(toy)
    said = str(refused.value)
    for part in ("a.bin", str(tmp_path / "mine"), str(cache), "rppg models --fetch toy", "another"):
        assert part in said
    assert "\n" not in said


def test_an_unknown_model_is_named_with_those_that_exist(cache):
    for ask in (models.find, models.fetch, models.tflite_file):
        with pytest.raises(UserError, match="unknown model 'none'; there are tscan-afrl"):
            ask("none")


class TestDetectors:
    def test_auto_is_the_papers_where_it_is(self, models_folder):
        name, files, remark = models.choose_detector("auto")
        assert (name, remark) == ("resnet10-ssd", "")
        assert set(files) == {"opencv_face_detector_uint8.pb", "opencv_face_detector.pbtxt"}

    def test_auto_is_haar_where_it_is_not_and_says_so(self, cache):
        name, files, remark = models.choose_detector("auto")
        assert (name, files) == ("haar", {})
        assert "resnet10-ssd was not found" in remark

    def test_a_named_detector_is_never_exchanged(self, cache):
        assert models.choose_detector("haar") == ("haar", {}, "")
        with pytest.raises(ModelError, match="no face_detection_yunet"):
            models.choose_detector("yunet")
        with pytest.raises(UserError, match="unknown detector 'hog'; there are auto, resnet10"):
            models.choose_detector("hog")


class TestTFLiteFiles:
    def test_a_file_is_taken_as_it_is(self, tmp_path):
        path = tmp_path / "mine.tflite"
        path.write_bytes(b"")
        assert models.tflite_file(str(path)) == ("mine", path)

    def test_a_file_that_is_not_there_is_refused(self):
        with pytest.raises(ModelError, match=r"/no/mine\.tflite: no such model file"):
            models.tflite_file("/no/mine.tflite")

    def test_an_unknown_variant_is_named_with_those_that_exist(self):
        with pytest.raises(UserError, match="unknown variant 'int3'; there are float32"):
            models.tflite_file("tscan-afrl", "int3")

    def test_a_detector_is_no_pulse_model(self):
        with pytest.raises(UserError, match="'yunet' is a detector"):
            models.tflite_file("yunet")

    def test_weights_that_are_not_here_say_where_it_looked(self, cache):
        with pytest.raises(ModelError, match=r"no model\.json in .*rppg models --fetch tscan-afrl"):
            models.tflite_file("tscan-afrl")

    def test_what_was_made_is_used_again(self, model_file):
        changed = model_file.stat().st_mtime_ns
        assert models.tflite_file("tscan-afrl") == ("tscan-afrl/float32", model_file)
        assert model_file.stat().st_mtime_ns == changed


class TestBundled:
    """Weights that come with the project, and their float32 form."""

    def test_it_needs_no_other_file_and_no_tensorflow(self, cache):
        name, path = models.tflite_file("tscan-synthetic")
        assert name == "tscan-synthetic/float32"
        assert path.parent == models.BUNDLED
        assert TSCAN(path).card["weights"] == "tscan-synthetic"
        assert not cache.exists()

    def test_all_files_are_small_enough_to_be_in_a_repository(self):
        sizes = [path.stat().st_size for path in models.find("tscan-synthetic").values()]
        assert max(sizes) <= 2_200_000
        assert sum(sizes) <= 3_900_000

    def test_an_altered_file_is_refused(self, cache, tmp_path, monkeypatch):
        monkeypatch.setattr(models, "BUNDLED", tmp_path)
        (tmp_path / "tscan-synthetic.npz").write_bytes(b"other")
        with pytest.raises(ModelError, match="another file of that name"):
            models.tflite_file("tscan-synthetic")

    def test_the_model_is_made_of_the_weights(self):
        files = models.find("tscan-synthetic")
        weights = load_npz(files["tscan-synthetic.npz"])
        card = read_card(files["tscan-synthetic-float32.tflite"])
        assert card["weights_sha256"] == weights_sha256(weights)

    def test_it_finds_the_real_pulse(self, real_clip, haar):
        pipeline = Pipeline(haar, TSCAN(models.tflite_file("tscan-synthetic")[1]))
        assert pipeline.run(open_source(str(real_clip))).bpm == pytest.approx(53, abs=2)


def test_the_registry_is_sound():
    for name, entry in models.REGISTRY.items():
        assert name == entry.name
        assert entry.licence
        for file in entry.files:
            assert file.address.startswith("https://") or entry.kind == "bundled"
            assert len(file.sha256) == 64
            assert 0 < file.size_bytes < 10_000_000


def test_registered_files_are_the_real_ones(models_folder):
    for name in models.REGISTRY:
        assert set(models.find(name)) == {file.name for file in models.REGISTRY[name].files}
