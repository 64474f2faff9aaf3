import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from clips import pulsing, steady_times, write_audio, write_cut, write_images

from rppg_core import models
from rppg_core.cli import main
from rppg_core.pipeline import STAGES
from rppg_core.tscan import TSCAN


@pytest.fixture(scope="module")
def published_weights_folder(models_folder):
    return next(iter(models.find("tscan-afrl").values())).parent


def refused(capsys, *arguments):
    """The one line of a mistake on stderr; a runtime's own greeting does not count."""
    assert main(["run", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = (line for line in err.splitlines() if not line.startswith("INFO:"))
    assert line.startswith("rppg: ")
    return line


def told(capsys, *arguments):
    """What `rppg run --json` says."""
    assert main(["run", *map(str, arguments), "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


@pytest.mark.parametrize("detector", ["auto", "yunet"])
def test_the_real_clip_has_53_bpm(model_file, real_clip, capsys, detector):
    said = told(capsys, real_clip, "--detector", detector)
    assert said["bpm"] == pytest.approx(53, abs=2)
    assert said["snr_db"] > 3
    assert said["quality"] == "good"
    assert said["frames"] == 301
    assert said["fps"] == pytest.approx(30, abs=0.1)
    assert said["lost_s"] == 0
    assert set(said["stages_ms"]) == set(said["stages_ms_per_frame"]) == set(STAGES)
    assert said["real_time_factor"] == pytest.approx(
        sum(said["stages_ms"].values()) / 1e3 / said["duration_s"]
    )
    assert said["model"] == "tscan-afrl/float32"
    assert said["model_sha256"] == models.sha256_of(model_file)
    assert said["detector"] == {"auto": "resnet10-ssd", "yunet": "yunet"}[detector]
    assert said["settings"]["pulse"]["method"] == "fft"


def test_text_names_rate_quality_and_makers(model_file, short_clip, capsys):
    assert main(["run", str(short_clip), "--detector", "haar"]) == 0
    text = capsys.readouterr().out
    for part in ("7", " bpm", "SNR", "120 frames", "30.00 fps", "faces by haar", "tscan-afrl"):
        assert part in text


def test_options_reach_the_pipeline(model_file, short_clip, capsys):
    said = told(
        capsys, short_clip, "--detector=haar", "--method=peaks", "--low-hz=0.8", "--high-hz=2",
        "--enlargement=1.3", "--detect-every=7",
    )  # fmt: skip
    assert said["settings"]["pulse"]["method"] == "peaks"
    assert (said["settings"]["pulse"]["low_hz"], said["settings"]["pulse"]["high_hz"]) == (0.8, 2)
    assert said["settings"]["enlargement"] == 1.3
    assert said["settings"]["track"]["detect_every_frames"] == 7
    assert said["bpm"] == pytest.approx(72, abs=4)


def test_a_folder_of_images_is_a_video(model_file, tmp_path, face_image, capsys):
    frames = list(pulsing(face_image, steady_times(4, fps=20)))
    folder = write_images(tmp_path / "i", [f"{n}.bmp" for n in range(len(frames))], frames)
    said = told(capsys, folder, "--fps", 20, "--detector", "haar")
    assert said["bpm"] == pytest.approx(72, abs=4)
    assert "carry no times" in refused(capsys, folder, "--detector", "haar")


def test_without_its_files_auto_says_what_it_does(
    model_file, short_clip, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("RPPG_MODELS")
    assert main(["run", str(short_clip), "--model", str(model_file), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["detector"] == "haar"
    assert json.loads(out)["model"] == model_file.stem
    assert "rppg: resnet10-ssd was not found: detecting faces with haar" in err


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_plot_is_drawn(model_file, short_clip, tmp_path, capsys, ending):
    path = tmp_path / f"pulse.{ending}"
    told(capsys, short_clip, "--detector", "haar", "--plot", path)
    if ending == "svg":
        assert b"<svg" in path.read_bytes()[:500]
        return
    picture = cv2.imread(str(path))
    assert picture.shape[0] > 400
    assert picture.shape[1] > 600
    # Both halves hold something: curve above, spectrum below.
    for half in np.array_split(picture, 2):
        assert np.mean(np.any(half < 200, axis=2)) > 0.01


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "a folder; name a file for the plot, as"),
        ("pulse", "no picture's ending; name a .png"),
        ("pulse.xyz", "no picture's ending; name a .png"),
        ("none/pulse.png", "no folder"),
    ],
)
def test_a_plot_that_cannot_be_is_refused_before_any_work(tmp_path, capsys, name, reason):
    assert reason in refused(capsys, "no-such-video.avi", "--plot", f"{tmp_path}/{name}")
    assert not list(tmp_path.parent.glob(f"{tmp_path.name}.*")) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ["--model", "none"],
            "unknown model 'none'; there are tscan-afrl, tscan-synthetic; or name a .tflite file",
        ),
        (["--model", "/etc/passwd"], "'/etc/passwd' is no .tflite model and no known weights"),
        (["--model", "none/int8"], "unknown model 'none/int8'"),
        (["--model", "yunet"], "'yunet' is a detector, not TS-CAN weights"),
        (["--model", "auto/int3"], "unknown variant 'int3'"),
        (["--model", "/no/x.tflite"], "no such model file"),
        (["--variant", "int3"], "unknown variant"),
        (["--detector", "hog"], "unknown detector 'hog'"),
        (["--runtime", "tpu"], "unknown runtime 'tpu'"),
        (["--low-hz", "3"], "band"),
        (["--high-hz", "nan"], "band"),
        (["--high-hz", "40", "--detector", "haar"], "samples a second"),
        (["--method", "music"], "unknown heart-rate method"),
        (["--detect-every", "0"], "detect every 1 frame"),
        (["--enlargement", "0"], "face boxes"),
        (["--threads", "0"], "threads"),
        (["--threads", "-2"], "threads"),
    ],
)
def test_a_wrong_option_is_one_line(model_file, short_clip, capsys, options, reason):
    assert reason in refused(capsys, short_clip, *options)


def test_a_bad_video_is_one_line(model_file, short_clip, faceless_clip, tmp_path, capsys):
    empty, text = tmp_path / "empty.avi", tmp_path / "text.mp4"
    empty.touch()
    text.write_text("no video\n" * 99)
    for video, reason in [
        (tmp_path / "none.mp4", "no such video"),
        (empty, "empty"),
        (text, "no video stream"),
        (write_audio(tmp_path / "sound.avi"), "no video stream"),
        (write_cut(tmp_path / "cut.mp4", short_clip, 0.5), "cut off"),
        (tmp_path, "no images"),
        ("97", "camera 97"),
        (faceless_clip, "no face in any"),
    ]:
        assert reason in refused(capsys, video, "--detector", "haar")


def test_a_missing_model_says_where_it_looked(short_clip, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RPPG_MODELS", str(tmp_path / "mine"))
    line = refused(capsys, short_clip, "--detector", "haar", "--model", "tscan-afrl")
    for part in (str(tmp_path / "mine"), str(tmp_path / "cache"), "rppg models --fetch tscan-afrl"):
        assert part in line


def test_without_the_published_weights_the_ones_at_hand_are_taken_and_named(
    short_clip, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("RPPG_MODELS", raising=False)
    assert main(["run", str(short_clip), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["model"] == "tscan-synthetic/float32"
    assert json.loads(said.out)["detector"] == "haar"
    assert "tscan-afrl was not found: using tscan-synthetic" in said.err
    assert "resnet10-ssd was not found: detecting faces with haar" in said.err


def test_a_cache_that_cannot_be_written_is_one_line(
    models_folder, short_clip, tmp_path, monkeypatch, capsys
):
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert str(tmp_path / "cache") in refused(capsys, short_clip, "--detector", "haar")


def test_models_are_listed_with_where_they_lie(models_folder, capsys):
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    for name, entry in models.REGISTRY.items():
        assert name in text
        assert entry.licence in text
    assert str(models_folder) in text


def test_models_that_are_not_here_are_listed_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("RPPG_MODELS", raising=False)
    assert main(["models"]) == 0
    elsewhere = [entry for entry in models.REGISTRY.values() if entry.kind != "bundled"]
    assert capsys.readouterr().out.count("not here") == len(elsewhere) < len(models.REGISTRY)


def test_what_is_here_already_is_not_fetched(models_folder, capsys):
    assert main(["models", "--fetch", "yunet"]) == 0
    assert capsys.readouterr().out.strip().endswith("face_detection_yunet_2023mar.onnx")
    assert main(["models", "--fetch", "none"]) == 2
    assert capsys.readouterr().err.startswith("rppg: unknown model 'none'")


@pytest.mark.parametrize("variant", ["float16", "dynamic", "int8"])
def test_every_form_agrees_on_the_real_clip(int8_file, real_clip, capsys, variant):
    said = told(capsys, real_clip, "--variant", variant)
    assert said["bpm"] == pytest.approx(53, abs=2)
    assert said["model"] == f"tscan-afrl/{variant}"


def test_models_are_made_and_looked_into(published_weights_folder, int8_file, tmp_path, capsys):
    given = ["quantize", "--weights", str(published_weights_folder), "--window", "6"]
    assert main([*given, "--variant", "dynamic", "--out", str(tmp_path / "new")]) == 0
    path = tmp_path / "new" / f"{published_weights_folder.name}-dynamic.tflite"
    assert f"{path.stat().st_size:,} bytes" in capsys.readouterr().out
    assert TSCAN(path).window == 6
    assert main(["inspect", str(path), str(int8_file)]) == 0
    text = capsys.readouterr().out
    for part in (
        "CONV_2D",
        "computes in float32",
        "can run 100 % of the operators",
        "needs TFLite",
    ):
        assert part in text


def test_mistakes_with_models_are_one_line(published_weights_folder, tmp_path, capsys):
    (tmp_path / "text.tflite").write_text("not a model")
    (tmp_path / "cut.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(99))
    made = ["quantize", "--weights", str(published_weights_folder), "--out", str(tmp_path)]
    for arguments, reason in [
        (["quantize", "--weights", "none"], "unknown model 'none'; there are tscan-afrl, tscan-s"),
        ([*made, "--variant", "int3"], "unknown variant 'int3'; there are float32"),
        ([*made, "--variant", "float16", "--window", "1"], "a window of 1 frames"),
        ([*made, "--variant", "int8", "--calibration", str(tmp_path / "no")], "no such calib"),
        (["inspect", str(tmp_path / "none.tflite")], "cannot be read"),
        (["inspect", str(tmp_path / "text.tflite")], "not a TFLite model"),
        (["inspect", str(tmp_path / "cut.tflite")], "damaged"),
    ]:
        assert main(arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("rppg: ")
        assert reason in err
        assert err.count("\n") == 1


@pytest.mark.board
def test_the_program_ends_with_2_and_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "rppg_core.cli", "run", str(tmp_path / "none.mp4")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"rppg: {tmp_path / 'none.mp4'}: no such video\n"


class TestTrain:
    """Training itself is tested where it is; here, what a user is told."""

    def test_without_tensorflow_it_says_what_to_install(self, tmp_path):
        without_keras = (
            "import sys; sys.modules['keras'] = None; "
            "from rppg_core.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        folder = str(tmp_path)
        arguments = ["train", folder, "--validation", folder, "--out", folder]
        done = subprocess.run(
            [sys.executable, "-c", without_keras, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "training needs TensorFlow" in done.stderr
        assert "pip install" in done.stderr

    @pytest.mark.lightening
    def test_a_folder_without_shards_is_one_line(self, capsys, tmp_path):
        pytest.importorskip("tensorflow", reason="training needs TensorFlow (extra 'lightening')")
        folder = str(tmp_path)
        assert main(["train", folder, "--validation", folder, "--out", folder]) == 2
        said = capsys.readouterr().err.splitlines()
        assert f"rppg: {folder}: no .npz shards" in said[-1]


def test_the_bundled_model_runs_with_no_other_file(short_clip, monkeypatch, tmp_path):
    monkeypatch.delenv("RPPG_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    arguments = [str(short_clip), "--model", "tscan-synthetic", "--detector", "haar", "--json"]
    without_tensorflow = (
        "import sys; sys.modules['tensorflow'] = None; "
        "from rppg_core.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", without_tensorflow, "run", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["bpm"] == pytest.approx(72, abs=3)
