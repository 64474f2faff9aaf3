"""The rules of the gates: which threshold holds for which board, dataset and variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.verdicts.latency import Stage
from rppg_core.errors import UserError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Pattern = Annotated[str, Field(min_length=1)]

WILDCARDS = frozenset("*?[")
CountedStage = Literal[Stage, "all"]
DEFAULT_SLOWDOWN_PERCENT = 0.5
"""Five times what a count varies by."""
DEFAULT_ADDED_TIME_PERCENT, DEFAULT_STAGE_ADDED_TIME_PERCENT = 5.0, 10.0
DEFAULT_SESSION_SD_PERCENT = 1.0
"""Assumed of a board until a baseline has enough sessions to tell."""
# A file with many mistakes is mended a few at a time; a line with all of them is not read.
MISTAKES_NAMED = 3


@dataclass(frozen=True)
class Case:
    """What a verdict is about: one variant, on one board, over one dataset."""

    board: str
    dataset: str
    variant: str

    def __str__(self) -> str:
        return f"{self.board} / {self.dataset} / {self.variant}"


class Rule(BaseModel):
    """Thresholds for the cases that its three patterns match (``*``, ``?``, ``[...]``)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    board: Pattern = "*"
    dataset: Pattern = "*"
    variant: Pattern = "*"

    @model_validator(mode="after")
    def _sets_a_threshold(self) -> Rule:
        about = (*Rule.model_fields, "max_slowdown_percent", "measured_with")
        names = [name for name in type(self).model_fields if name not in about]
        if all(getattr(self, name) in (None, {}) for name in names):
            raise ValueError(f"the rule sets no threshold; set one of {', '.join(names)}")
        return self

    @property
    def patterns(self) -> tuple[str, str, str]:
        """The patterns for board, dataset and variant."""
        return self.board, self.dataset, self.variant

    @property
    def specificity(self) -> tuple[int, int]:
        """How many patterns are plain names, then how many of the others are more than ``*``."""
        plain = sum(not WILDCARDS & set(one) for one in self.patterns)
        return plain, sum(one != "*" for one in self.patterns) - plain

    def matches(self, case: Case) -> bool:
        """Tell whether the rule is about this case; upper and lower case differ."""
        names = (case.board, case.dataset, case.variant)
        return all(fnmatchcase(*pair) for pair in zip(names, self.patterns, strict=True))

    def __str__(self) -> str:
        return " / ".join(self.patterns)


class AccuracyRule(Rule):
    """Bounds on errors (bpm) and on the mean signal-to-noise ratio (dB); None asks nothing."""

    max_mae_bpm: Positive | None = None
    max_group_mae_bpm: Mapping[Literal["low", "middle", "high"], Positive] = Field(
        default_factory=dict
    )
    min_mean_snr_db: Finite | None = None


class LatencyRule(Rule):
    """Bounds on the real-time factor and on each stage's mean ms a frame; None asks nothing.

    On a board that counts instructions those two say nothing. There ``baseline_minstr_per_frame``
    has reviewed counts, of stages and of ``all``, and ``max_slowdown_percent`` what may be added.
    ``measured_with`` names what they hold for (detector, model, recordings, comma-separated);
    other counts are not compared.

    The bounds on missed and dropped frames and on the delay of heart rates are for replays at the
    pace of the recording.
    """

    max_real_time_factor: Positive | None = None
    max_stage_ms_per_frame: Mapping[Stage, Positive] = Field(default_factory=dict)
    max_missed_percent: NotNegative | None = None
    max_dropped_percent: NotNegative | None = None
    max_delay_p99_ms: Positive | None = None
    baseline_minstr_per_frame: Mapping[CountedStage, Positive] = Field(default_factory=dict)
    max_slowdown_percent: Positive = DEFAULT_SLOWDOWN_PERCENT
    measured_with: Mapping[Literal["detector", "model", "recordings"], str] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _one_kind_of_clock(self) -> LatencyRule:
        bounds = (
            self.max_real_time_factor,
            self.max_missed_percent,
            self.max_dropped_percent,
            self.max_delay_p99_ms,
        )
        timed = self.max_stage_ms_per_frame or any(one is not None for one in bounds)
        if timed and self.baseline_minstr_per_frame:
            raise ValueError("a rule holds for times or for instructions; make it two rules")
        return self


class QuantizationRule(Rule):
    """Bounds on what a form of the model may differ from float32 by; None asks nothing.

    `max_mae_change_bpm` holds overall and for every group that has recordings.
    """

    max_paired_bpm: Positive | None = None
    max_lost_locks: Annotated[int, Field(ge=0)] | None = None
    max_mae_change_bpm: Positive | None = None
    min_correlation: Finite | None = None
    min_snr_db: Finite | None = None
    max_bytes: Annotated[int, Field(gt=0)] | None = None
    max_shared_scales: Annotated[int, Field(ge=0)] | None = None
    min_calibration_recordings: Annotated[int, Field(gt=0)] | None = None


class ChangeRule(Rule):
    """What may have become worse than a baseline: errors in bpm, times and counts in percent.

    A case that no such rule matches is held to these defaults. ``max_slowdown_percent`` is of all
    stages together; a single stage varies more, and None asks nothing of it. ``session_sd_percent``
    is how far whole sessions on the board lie apart, as long as its baseline cannot tell.
    """

    max_mae_increase_bpm: Positive = 0.5
    max_group_mae_increase_bpm: Positive = 1.0
    max_slowdown_percent: Positive = DEFAULT_ADDED_TIME_PERCENT
    max_stage_slowdown_percent: Positive | None = DEFAULT_STAGE_ADDED_TIME_PERCENT
    max_added_instructions_percent: Positive = DEFAULT_SLOWDOWN_PERCENT
    session_sd_percent: Annotated[float, Field(ge=0, allow_inf_nan=False)] = (
        DEFAULT_SESSION_SD_PERCENT
    )

    @model_validator(mode="after")
    def _asks_something_of_its_own(self) -> ChangeRule:
        if self.model_fields_set and self.model_fields_set <= set(Rule.model_fields):
            names = [one for one in type(self).model_fields if one not in Rule.model_fields]
            raise ValueError(f"the rule sets no margin; set one of {', '.join(names)}")
        return self


DEFAULT_CHANGE_RULE = ChangeRule()


class StageRule(Rule):
    """Bounds on what each stage of a replay may differ by from that of another replay.

    The figures are those of ``hops.Tolerances``; one that is left out has its usual bound.
    """

    max_frame_time_ms: Positive | None = None
    max_picture_steps: Positive | None = None
    max_box_apart: Positive | None = None
    max_crop_steps: Positive | None = None
    max_input_sd: Positive | None = None
    min_correlation: Finite | None = None
    min_snr_db: Finite | None = None
    min_wave_correlation: Finite | None = None
    max_bpm: Positive | None = None


class MemoryRule(Rule):
    """Bounds on the peak memory of a replay, the largest of a case's; None asks nothing.

    ``max_peak_memory_ratio`` is over that of the same recordings in a reference run.
    """

    max_peak_memory_bytes: Annotated[int, Field(gt=0)] | None = None
    max_peak_memory_ratio: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = None


class Thresholds(BaseModel):
    """All rules, as a thresholds file lists them; of two that match, the more specific holds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    # A YAML list is a list: only the container is converted, not what is in it.
    accuracy: Annotated[tuple[AccuracyRule, ...], Field(strict=False)]
    latency: Annotated[tuple[LatencyRule, ...], Field(strict=False)]
    quantization: Annotated[tuple[QuantizationRule, ...], Field(strict=False)] = ()
    changes: Annotated[tuple[ChangeRule, ...], Field(strict=False)] = ()
    reference: Annotated[tuple[StageRule, ...], Field(strict=False)] = ()
    repeat: Annotated[tuple[StageRule, ...], Field(strict=False)] = ()
    memory: Annotated[tuple[MemoryRule, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _no_rule_twice(self) -> Thresholds:
        sections: dict[str, Sequence[Rule]] = {
            "accuracy": self.accuracy,
            "latency": self.latency,
            "quantization": self.quantization,
            "changes": self.changes,
            "reference": self.reference,
            "repeat": self.repeat,
            "memory": self.memory,
        }
        for section, rules in sections.items():
            patterns = [rule.patterns for rule in rules]
            for rule in rules:
                if patterns.count(rule.patterns) > 1:
                    raise ValueError(f"{section}: two rules are for {rule}; keep one")
        return self


RuleKind = TypeVar("RuleKind", bound=Rule)


def parse_thresholds(loaded: object, source: str = "thresholds") -> Thresholds:
    """Check what a YAML loader made of a thresholds file.

    Args:
        loaded: a mapping with the keys ``accuracy`` and ``latency``, each a list of rules.
        source: the file's name, for the message.

    Raises:
        UserError: one line with the place and kind of the first mistakes, such as an unknown
            key, a threshold that is no finite number, or two rules for the same patterns.
    """
    try:
        return Thresholds.model_validate(loaded)
    except ValidationError as error:
        mistakes = [_one_line(one) for one in error.errors()]
        more = len(mistakes) - MISTAKES_NAMED
        line = "; ".join(mistakes[:MISTAKES_NAMED]) + (f"; and {more} more" if more > 0 else "")
        raise UserError(f"{source}: {line}") from None


def change_rule(thresholds: Thresholds, case: Case) -> ChangeRule:
    """Return the rule for changes of a case, the defaults where none matches. Raises UserError."""
    return find_rule(thresholds.changes, case) or DEFAULT_CHANGE_RULE


def find_rule(rules: Sequence[RuleKind], case: Case) -> RuleKind | None:
    """Return the most specific of the rules that match, whole: rules do not add up.

    Plain names count first, then patterns other than ``*``. None where no rule matches.

    Raises:
        UserError: two rules match and neither is more specific.
    """
    matching = sorted((one for one in rules if one.matches(case)), key=lambda one: one.specificity)
    if len(matching) > 1 and matching[-1].specificity == matching[-2].specificity:
        raise UserError(
            f"thresholds: the rules for {matching[-2]} and {matching[-1]} both match {case} and "
            f"neither is more specific; add a rule for {case}"
        )
    return matching[-1] if matching else None


# Two of pydantic's messages, in the words of a YAML file.
YAML_WORDS = {"model_type": "must be a mapping", "tuple_type": "must be a list"}


def _one_line(error: Mapping[str, Any]) -> str:
    """Say where and what, as ``accuracy rule 2, max_mae_bpm: Input should be ..., got 'x'``."""
    loc = error["loc"]
    place = ", ".join(str(one) for one in loc if one != "[key]" and not isinstance(one, int))
    if len(loc) > 1 and isinstance(loc[1], int):
        place = place.replace(str(loc[0]), f"{loc[0]} rule {loc[1] + 1}", 1)
    if error["type"] == "extra_forbidden":
        what = f"unknown key; known are {_known_keys(loc)}"
    elif error["type"] == "missing":
        what = "missing; write [] for no rules"
    elif error["type"] == "value_error":
        what = str(error["ctx"]["error"])
    else:
        words = YAML_WORDS.get(error["type"], error["msg"])
        what = f"{words}, got {repr(error['input'])[:60]}"
    return f"{place}: {what}" if place else what


def _known_keys(loc: Sequence[int | str]) -> str:
    kinds: dict[int | str, type[BaseModel]] = {
        "accuracy": AccuracyRule,
        "latency": LatencyRule,
        "quantization": QuantizationRule,
        "changes": ChangeRule,
        "reference": StageRule,
        "repeat": StageRule,
        "memory": MemoryRule,
    }
    return ", ".join((kinds[loc[0]] if len(loc) > 1 else Thresholds).model_fields)
