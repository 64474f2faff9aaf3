"""Plans of the family: what holds for any seed, size and number of clips."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.datasets.difficulty import DIFFICULTIES, GROUPS_BPM, PLAIN
from harness.datasets.plans import Frames, plan_clips, plan_family, with_pulses
from harness.datasets.pulses import CONTACT, PulseSource, Stretch
from harness.datasets.skin import MONK_HEX, MONK_RGB, nearest_monk, tone_gain
from rppg_core.errors import UserError

WORDS = {
    "lighting": {"even", "dark", "drift", "flicker"},
    "flicker": {"0 %", "0.2 %", "1 %", "3 %"},
    "motion": {"still", "moving"},
    "frame_rate": {"30", "15", "10", "variable"},
    "compression": {"h264-fine", "h264-2000k", "h264-800k", "h264-300k"},
    "rotation": {"0", "90", "180", "270"},
    "faces": {"1", "3"},
    "face_hidden_s": {"0", "2", "4"},
    "skin_type": {f"monk{tone}" for tone in range(1, 11)},
    "pulse": {"simulated", "neurokit2", "contact"},
    "difficulty": set(DIFFICULTIES),
}


def group_of(bpm):
    return "low" if bpm < 77 else "middle" if bpm < 90 else "high"


plans = st.builds(
    lambda seconds, seed, each: plan_family(Frames(seconds, seed, 320, 240), each),
    st.floats(4, 60),
    st.integers(0, 2**31),
    st.sampled_from([3, 6, 9]),
)


@settings(max_examples=15)
@given(plans)
def test_groups_of_heart_rate_are_balanced_within_every_difficulty_and_scene(clips):
    assert {clip.difficulty for clip in clips} == set(DIFFICULTIES)
    for part in {(clip.difficulty, clip.scene) for clip in clips}:
        counts = Counter(
            group_of(clip.bpm) for clip in clips if (clip.difficulty, clip.scene) == part
        )
        assert set(counts) == {"low", "middle", "high"}, part
        assert max(counts.values()) - min(counts.values()) <= 1, part
    rates = [clip.bpm for clip in clips]
    assert 40 <= min(rates) < 48
    assert 150 < max(rates) <= 180


@settings(max_examples=10)
@given(plans)
def test_conditions_are_of_one_vocabulary_and_tell_difficulties_apart(clips):
    assert len({clip.id for clip in clips}) == len({clip.seed for clip in clips}) == len(clips)
    for clip in clips:
        conditions = clip.conditions()
        assert conditions.keys() == WORDS.keys()
        assert all(value in WORDS[name] for name, value in conditions.items()), conditions
    tones = {clip.conditions()["skin_type"] for clip in clips if clip.scene.monk}
    assert tones == WORDS["skin_type"]


def test_a_difficulty_has_one_thing_hard_about_it():
    together = [{"lighting", "flicker"}, {"rate_hz", "variable_rate"}]
    for name, difficulty in DIFFICULTIES.items():
        for scene in difficulty.scenes:
            changed = {
                field for field, value in vars(scene).items() if value != getattr(PLAIN, field)
            }
            hard = (1 if changed in together else len(changed)) + difficulty.moving
            hard += difficulty.groups != DIFFICULTIES["still"].groups
            assert hard == {"still": 0, "dark-motion": 2}.get(name, 1), name


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.integers(10, 900))
def test_a_variable_clock_increases_and_keeps_its_mean_rate(seed, frames):
    (clip, *_) = plan_clips(1, 4, 1, 320, 240)
    scene = replace(PLAIN, variable_rate=True, rate_hz=24)
    times_s = replace(clip, seed=seed, frames=frames, scene=scene).times_s()
    steps = np.diff(times_s)
    assert times_s[0] == 0
    assert len(times_s) == frames
    assert steps.min() > 1 / 200
    assert times_s[-1] == pytest.approx((frames - 1) / 24, abs=1e-4)
    if frames > 60:  # of fewer, one draw in many thousands is nearly even
        assert steps.std() / steps.mean() > 0.05
    ticks = times_s * 90_000
    np.testing.assert_allclose(ticks, np.round(ticks), atol=1e-3)


def test_noise_is_the_same_process_at_any_frame_rate():
    (clip, *_) = plan_clips(1, 20, 1, 320, 240)
    fine = clip.noise(clip.rng("x"), 0.5)
    half = replace(clip, frames=clip.frames // 2, scene=replace(PLAIN, rate_hz=15))
    np.testing.assert_allclose(half.noise(half.rng("x"), 0.5)[:290], fine[:580:2], atol=1e-9)


def test_tones_are_those_of_the_scale():
    assert MONK_RGB.shape == (10, 3)
    assert MONK_HEX[0] == "f6ede4"
    np.testing.assert_array_equal(MONK_RGB[-1], [0x29, 0x24, 0x20])
    bright = [tone_gain(0, tone) @ [0.3, 0.6, 0.1] for tone in range(1, 11)]
    assert bright[0] > 1 > bright[5]
    assert all(a > b for a, b in pairwise(bright[2:]))
    for tone in range(4, 11):
        assert abs(nearest_monk(tone_gain(0, tone)) - tone) <= 1


def stretch(bpm, start_s=0.0):
    return Stretch(PulseSource(CONTACT, "a.txt", start_s, "0"), bpm)


def test_contact_pulses_are_the_nearest_of_the_group_and_shared_evenly():
    clips = plan_clips(6, 10, 1, 320, 240)
    stretches = [stretch(bpm) for bpm in (50.0, 70.0, 82.0, 100.0, 140.0, 76.0, 90.0)]
    chosen = with_pulses(clips, CONTACT, stretches)
    assert sorted(clip.bpm for clip in chosen) == [50, 70, 82, 82, 100, 140]
    for before, after in zip(clips, chosen, strict=True):
        assert group_of(before.bpm) == group_of(after.bpm)
        assert after.conditions()["pulse"] == "contact"


def test_a_group_without_contact_pulses_is_named():
    clips = plan_clips(3, 10, 1, 320, 240)
    low, high = GROUPS_BPM["high"]
    with pytest.raises(UserError, match=f"{low:g} to {high:g} bpm"):
        with_pulses(clips, CONTACT, [stretch(60.0), stretch(83.0)])
