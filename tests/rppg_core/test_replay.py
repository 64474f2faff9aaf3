import json
import resource
import subprocess
import sys

import numpy as np
import pytest
from clips import write_audio, write_cut

from rppg_core.model_card import attach_card, read_card
from rppg_core.models import sha256_of
from rppg_core.pipeline import STAGES, Settings
from rppg_core.records import host_facts, read_record
from rppg_core.replay import JOB_SCHEMA, main, record_name
from rppg_core.tscan_int8 import partner_of

HOSTILE_IDS = [
    "../../x",
    "/etc/passwd",
    "a b;$(touch y)",
    "line\nbreak",
    "Müller-心拍-\U0001f600",
    "\ud800",
    "i" * 200,
    "",
    ".",
    "-rf",
]


@pytest.fixture
def job(tmp_path, model_file, short_clip):
    return {
        "schema": JOB_SCHEMA,
        "recordings": [{"id": "one", "path": str(short_clip), "times_s": None}],
        "model": {"path": str(model_file), "name": "tscan-afrl/float32"},
        "detector": {"name": "haar", "files": {}},
        "settings": {},
        "runtime": "auto",
        "threads": 1,
        "out_dir": str(tmp_path / "out"),
    }


def written(tmp_path, job):
    path = tmp_path / "job.json"
    path.write_text(json.dumps(job))
    return str(path)


def replay(tmp_path, job, **options):
    return subprocess.run(
        [sys.executable, "-m", "rppg_core.replay", written(tmp_path, job)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        **options,
    )


def noise(stderr):
    """Lines on stderr; a runtime's own greeting does not count."""
    return [line for line in stderr.splitlines() if not line.startswith("INFO:")]


def said(capsys):
    """The one line on stderr."""
    (line,) = noise(capsys.readouterr().err)
    return line


@pytest.mark.board
def test_every_recording_leaves_its_record_whatever_its_id(tmp_path, job, short_clip):
    (tmp_path / "out" / "inner").mkdir(parents=True)
    job["out_dir"] = str(tmp_path / "out" / "inner")
    job["recordings"] = [{"id": id_, "path": str(short_clip)} for id_ in HOSTILE_IDS]
    done = replay(tmp_path, job)
    assert done.returncode == 0, done.stderr
    assert noise(done.stderr) == []
    events = [json.loads(line) for line in done.stdout.splitlines()]
    records = [event for event in events if event["event"] == "record"]
    assert [event["id"] for event in records] == HOSTILE_IDS
    assert all(event["status"] == "ok" for event in records)
    for event in events:
        if event["event"] == "progress":
            assert 0 < event["frames"] <= event["of"] == 120
    read = [read_record(event["path"]) for event in records]
    assert [record.recording for record in read] == HOSTILE_IDS
    assert len({record.bpm for record in read}) == 1
    files = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert len(files) == len(HOSTILE_IDS) + 1, files
    assert sum(p.parts[:2] == ("out", "inner") for p in files) == len(HOSTILE_IDS)


@pytest.mark.board
def test_a_bad_recording_does_not_stop_the_others(tmp_path, job, short_clip, faceless_clip):
    cut = write_cut(tmp_path / "cut.mp4", short_clip, 0.5)
    paths = {
        "gone": tmp_path / "no.avi",
        "cut": cut,
        "sound": write_audio(tmp_path / "sound.avi"),
        "nobody": faceless_clip,
        "long": "/" + "x" * 300,
        "good": short_clip,
    }
    job["recordings"] = [{"id": name, "path": str(path)} for name, path in paths.items()]
    job["recordings"].append({"id": "labels", "path": str(short_clip), "times_s": [0.0, 0.1, 0.2]})
    done = replay(tmp_path, job)
    assert done.returncode == 1
    assert noise(done.stderr) == [], "decoders' own chatter hides what matters"
    records = {r.recording: r for r in map(read_record, (tmp_path / "out").iterdir())}
    assert set(records) == {*paths, "labels"}
    assert records["good"].ok
    assert records["good"].bpm == pytest.approx(72, abs=4)
    for name, reason in {
        "gone": "no such video",
        "cut": "cut off",
        "sound": "no video stream",
        "nobody": "no face in any",
        "long": "cannot be opened",
        "labels": "do not belong together",
    }.items():
        assert not records[name].ok
        assert records[name].bpm is None
        assert reason in records[name].error
        assert "\n" not in records[name].error
    kinds = {name: r.raw["error"]["kind"] for name, r in records.items() if not r.ok}
    assert kinds["nobody"] == "NoFaceError"
    assert kinds["cut"] == "VideoError"


def test_a_record_is_complete(tmp_path, job, model_file, capsys):
    assert main([written(tmp_path, job)]) == 0
    record = read_record(tmp_path / "out" / record_name("one"))
    raw = record.raw
    assert raw["schema"] == "rppg-record/1"
    assert raw["model"]["sha256"] == sha256_of(model_file)
    assert raw["model"]["card"] == read_card(model_file)
    assert raw["model"]["name"] == "tscan-afrl/float32"
    assert raw["detector"] == "haar"
    assert Settings.from_dict(raw["settings"]) == Settings()
    assert raw["runtime"]["name"] in ("ai_edge_litert", "tflite_runtime", "pycoral")
    assert raw["runtime"]["threads"] == 1
    assert raw["clock"] == "container"
    assert raw["host"] == host_facts()
    assert raw["peak_memory_bytes"] > 10_000_000
    result = raw["result"]
    assert result["frames"] == len(result["time_s"]) == len(result["pulse"]["samples"]) == 120
    assert set(result["timings_ns"]) == set(STAGES)
    total_ns = sum(sum(row) for row in result["timings_ns"].values())
    assert total_ns <= raw["wall_s"] * 1e9
    assert result["real_time_factor"] == pytest.approx(total_ns / 1e9 / 4, rel=1e-6)


def test_a_model_in_two_files_may_have_any_names(tmp_path, job, int8_file, capsys):
    """A board keeps files under names of its own."""
    for name, path in zip(("one", "two"), (int8_file, partner_of(int8_file)), strict=True):
        (tmp_path / name).write_bytes(path.read_bytes())
    job["model"] = {"path": str(tmp_path / "one"), "name": "tscan-afrl/int8"}
    assert main([written(tmp_path, job)]) == 2
    assert "NAME.motion.tflite" in said(capsys)
    job["model"]["appearance_path"] = str(tmp_path / "two")
    assert main([written(tmp_path, job)]) == 0
    record = read_record(tmp_path / "out" / record_name("one"))
    assert record.bpm == pytest.approx(72, abs=4)
    assert record.raw["model"]["sha256"] == sha256_of(int8_file)
    assert record.raw["model"]["card"]["variant"] == "int8"


def test_instructions_are_counted_for_this_process_alone_and_keep_up_with_nothing(
    tmp_path, job, capsys
):
    job["timings_unit"] = "instructions"
    assert main([written(tmp_path, job)]) == 0
    record = read_record(tmp_path / "out" / record_name("one"))
    assert record.timings_unit == "instructions"
    assert record.raw["result"]["real_time_factor"] is None
    assert all(record.timings_ns[stage].sum() > 0 for stage in STAGES)


def test_label_times_replace_the_containers(tmp_path, job, capsys):
    times_s = [i / 20 for i in range(120)]
    job["recordings"][0]["times_s"] = times_s
    assert main([written(tmp_path, job)]) == 0
    record = read_record(tmp_path / "out" / record_name("one"))
    assert record.raw["clock"] == "labels"
    assert record.times_s.tolist() == times_s
    assert record.bpm == pytest.approx(72 * 20 / 30, abs=4)


def without(key):
    return lambda job: job.pop(key)


def put(value, *keys):
    def change(job):
        for key in keys[:-1]:
            job = job[key]
        job[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        *((without(key), key) for key in ("schema", "recordings", "model", "detector", "out_dir")),
        (put("rppg-job/9", "schema"), "rppg-job/9"),
        (put(None, "recordings"), "malformed"),
        (put([{"path": "x"}], "recordings"), "'id'"),
        (put([7], "recordings"), "malformed"),
        (put([{"id": "a", "path": "x", "times_s": ["b"]}], "recordings"), "malformed"),
        (put([{"id": "a", "path": "x"}] * 2, "recordings"), "more than once"),
        (put("hog", "detector", "name"), "unknown detector 'hog'"),
        (put("yunet", "detector", "name"), "face_detection_yunet_2023mar.onnx"),
        (put("tpu", "runtime"), "unknown runtime 'tpu'"),
        (put(0, "threads"), "threads"),
        (put("many", "threads"), "malformed"),
        (put("ms", "timings_unit"), "no unit"),
        (put({"crop": 1}, "settings"), "settings"),
        (put({"pulse": {"low_hz": 9}}, "settings"), "band"),
        (put("/no/model.tflite", "model", "path"), "no such model file"),
        (put("/", "model", "path"), "cannot be read"),
    ],
)
def test_an_unusable_job_is_one_line(tmp_path, job, capsys, change, reason):
    change(job)
    assert main([written(tmp_path, job)]) == 2
    line = said(capsys)
    assert line.startswith("replay: ")
    assert reason in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"null", b"\xff\xfe", b'"job"'])
def test_a_file_that_is_no_job_is_one_line(tmp_path, capsys, content):
    (tmp_path / "job.json").write_bytes(content)
    assert main([str(tmp_path / "job.json")]) == 2
    assert said(capsys).startswith("replay: ")


def test_a_missing_job_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "none.json")]) == 2
    assert "none.json" in said(capsys)
    assert main([]) == 2
    assert "usage" in said(capsys)


def body_of(model_file):
    content = model_file.read_bytes()
    return content[: content.rindex(b"PK\x03\x04")]


@pytest.mark.parametrize("kind", ["noise", "text", "bare", "half", "shape", "damaged", "cut"])
def test_an_unusable_model_is_one_line(tmp_path, job, model_file, models_folder, capsys, kind):
    body, card = body_of(model_file), read_card(model_file)
    other = (models_folder / "detectors" / "blaze_face_short_range.tflite").read_bytes()
    noise = np.random.default_rng(1).integers(0, 256, 50_000, np.uint8).tobytes()
    bad = {
        "noise": lambda: noise,
        "text": lambda: b"a model\n" * 20,
        "bare": lambda: body,
        "half": lambda: attach_card(body[: len(body) // 2], card),
        "shape": lambda: attach_card(other[: other.index(b"PK\x05\x06")], card),
        "damaged": lambda: attach_card(body[:8] + noise, card),
        "cut": lambda: model_file.read_bytes()[:-300],
    }[kind]()
    path = tmp_path / "bad.tflite"
    path.write_bytes(bad)
    job["model"]["path"] = str(path)
    assert main([written(tmp_path, job)]) == 2
    assert "bad.tflite" in said(capsys)


@pytest.mark.parametrize("card", [{"window": 9}, {"window": 1}, {"appearance": "x"}])
def test_a_card_that_does_not_fit_its_model_is_one_line(tmp_path, job, model_file, capsys, card):
    path = tmp_path / "bad.tflite"
    path.write_bytes(attach_card(body_of(model_file), {**read_card(model_file), **card}))
    job["model"]["path"] = str(path)
    assert main([written(tmp_path, job)]) == 2
    assert "bad.tflite" in said(capsys)


@pytest.mark.board
def test_a_full_disk_leaves_no_part_of_a_record(tmp_path, job):
    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = replay(tmp_path, job, preexec_fn=little_room)
    assert done.returncode == 4
    (line,) = noise(done.stderr)
    assert "make room on the disk" in line
    assert '"record"' not in done.stdout
    assert list((tmp_path / "out").iterdir()) == []


def test_an_out_dir_that_is_a_file_is_one_line(tmp_path, job, capsys):
    (tmp_path / "out").write_text("mine")
    assert main([written(tmp_path, job)]) == 2
    line = said(capsys)
    assert "out" in line
    assert "disk" not in line
    assert (tmp_path / "out").read_text() == "mine"


def test_a_lease_that_is_lost_stops_the_replay_and_leaves_no_record(tmp_path, job, pulsing_clip):
    lease = tmp_path / "lease.json"
    lease.write_text('{"generation": 7}')
    job["lease"] = {"file": str(lease), "generation": 7}
    job["recordings"][0]["path"] = str(pulsing_clip)
    job["pace"] = "realtime"  # it goes on for 12 s, however fast this machine is
    command = [sys.executable, "-m", "rppg_core.replay", str(written(tmp_path, job))]
    child = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with child:
        child.stdout.readline()  # it is under way
        lease.write_text('{"generation": 8}')
        assert child.wait(20) == 3
        assert "stopped: the lease is at generation 8, not 7" in child.stderr.read()
    assert not list(tmp_path.rglob("out/*"))
    lease.unlink()
    assert "cannot be read" in replay(tmp_path, job).stderr
