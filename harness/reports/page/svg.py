"""Charts as inline SVG: scales, axes and marks, coloured by the page's style sheet.

A chart is drawn as wide as a phone's screen, so that its letters keep their size there; wider
screens show several beside each other. Text from outside is escaped by ``element`` alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape

WIDTH = 340
"""Of every chart, in its own units: a phone's 360 pixels less the page's edges."""
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 10, 38
FEW_TICKS = 5
VOID = ("img",)
MARK = 4.0
"""Half the height of a point's mark."""


def element(tag: str, content: str = "", **attributes: object) -> Markup:
    """An element with escaped attributes; ``content`` is escaped unless it is Markup.

    ``class_`` stands for class, and every other underscore for a hyphen.
    """
    said = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in VOID:
        return Markup(f"<{tag}{said}>")
    return Markup(f"<{tag}{said}>{escape(content)}</{tag}>")


def joined(parts: Iterable[str]) -> Markup:
    """Several elements, one after the other."""
    return Markup("").join(parts)


def _short(value: object) -> str:
    """A number with at most two places: a tenth of a pixel cannot be seen."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if math.isfinite(value) else "0"
    return str(value)


@dataclass(frozen=True)
class Scale:
    """A linear way from ``low``..``high`` to pixels ``start``..``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        reach = self.high - self.low
        return self.start + (self.end - self.start) * (value - self.low) / (reach or 1.0)

    def ticks(self, most: int = FEW_TICKS) -> list[float]:
        """Round values within the scale, about ``most`` of them."""
        reach = self.high - self.low
        if not (math.isfinite(reach) and reach > 0):
            return [self.low]
        rough = reach / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


@dataclass
class Chart:
    """A plot area with axes; marks are added in the order they are drawn."""

    x: tuple[float, float]
    y: tuple[float, float]
    height: int = 250
    left: int = LEFT
    bottom: int = BOTTOM
    top: int = TOP
    parts: list[Markup] = field(default_factory=list)

    @property
    def to_x(self) -> Scale:
        """From data to pixels, to the right."""
        return Scale(*self.x, self.left, WIDTH - RIGHT)

    @property
    def to_y(self) -> Scale:
        """From data to pixels, upwards."""
        return Scale(*self.y, self.height - self.bottom, self.top)

    def add(self, tag: str, content: str = "", **attributes: object) -> None:
        """Add an element in pixels."""
        self.parts.append(element(tag, content, **attributes))

    def axes(
        self,
        x_label: str = "",
        y_label: str = "",
        x_ticks: bool = True,
        y_ticks: bool = True,
        whole: bool = False,
    ) -> None:
        """Draw grid lines, numbers and the names of both axes; to the right ``whole`` ones only."""
        foot, edge = self.to_y.start, WIDTH - RIGHT
        up = self.to_y.ticks() if y_ticks else []
        for value, said in zip(up, tick_texts(up), strict=True):
            at = self.to_y(value)
            self.add("line", class_="grid", x1=self.left, x2=edge, y1=at, y2=at)
            self.text(self.left - 5, at + 4, said, "tick end")
        across = self.to_x.ticks() if x_ticks else []
        across = [one for one in across if not whole or one == round(one)]
        for value, said in zip(across, tick_texts(across), strict=True):
            at = self.to_x(value)
            self.add("line", class_="grid", x1=at, x2=at, y1=self.top, y2=foot)
            self.text(at, foot + 15, said, "tick mid")
        self.add("line", class_="axis", x1=self.left, x2=edge, y1=foot, y2=foot)
        if x_label:
            self.text((self.left + edge) / 2, self.height - 5, x_label, "label mid")
        if y_label:
            middle = (self.top + foot) / 2
            turned = f"rotate(-90 11 {middle:.0f})"
            self.add("text", y_label, class_="label mid", x=11, y=middle, transform=turned)

    def text(self, x: float, y: float, said: str, class_: str) -> None:
        """Write at a pixel."""
        self.add("text", said, class_=class_, x=float(x), y=float(y))

    def line(self, x: Sequence[float], y: Sequence[float], class_: str) -> None:
        """A line through points given in data."""
        points = zip(map(self.to_x, x), map(self.to_y, y), strict=True)
        path = "L".join(f"{at:.1f} {up:.1f}" for at, up in points)
        self.add("path", class_=class_, d=f"M{path}")

    def level(self, y: float, class_: str) -> None:
        """A line across at a height in data."""
        at = self.to_y(y)
        self.add("line", class_=class_, x1=self.left, x2=WIDTH - RIGHT, y1=at, y2=at)

    def upright(self, x: float, class_: str) -> None:
        """A line from top to bottom at a place in data."""
        at = self.to_x(x)
        self.add("line", class_=class_, x1=at, x2=at, y1=self.top, y2=self.to_y.start)

    def band(self, low: float, high: float, class_: str) -> None:
        """A strip between two places in data, over the whole height."""
        left, right = self.to_x(low), self.to_x(high)
        if right > left:
            tall = self.to_y.start - self.top
            self.add("rect", class_=class_, x=left, y=self.top, width=right - left, height=tall)

    def mark(self, x: float, y: float, class_: str, shape: str, said: str) -> None:
        """A point in data that says what it is when pointed at."""
        path = SHAPES[shape]
        place = f"translate({self.to_x(x):.1f} {self.to_y(y):.1f})"
        self.add("path", element("title", said), class_=class_, d=path, transform=place)

    def svg(self, title: str, description: str) -> Markup:
        """The whole chart, with what a reader who cannot see it is told."""
        return picture(self.height, title, description, self.parts)


SHAPES = {
    "circle": f"M-{MARK} 0a{MARK} {MARK} 0 1 0 {2 * MARK} 0a{MARK} {MARK} 0 1 0-{2 * MARK} 0z",
    "square": "M-3.6-3.6h7.2v7.2h-7.2z",
    "triangle": "M0-4.8L4.6 3.4H-4.6z",
}


def picture(height: int, title: str, description: str, parts: Iterable[Markup]) -> Markup:
    """An SVG picture as wide as any, named for those who do not see it."""
    return element(
        "svg",
        joined(parts),
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_label=f"{title}. {description}",
    )


def padded(values: Sequence[float], share: float = 0.06, least: float = 0.0) -> tuple[float, float]:
    """The range of values with some room on both sides; of 0 to 1 where there are none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    room = max(share * (high - low), least, 1e-9)
    return low - room, high + room


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """Means of neighbours (count,), so that at most ``most`` points are drawn."""
    if len(values) <= most:
        return np.asarray(values, np.float64)
    edges = np.linspace(0, len(values), most + 1).astype(int)[:-1]
    return np.asarray(np.add.reduceat(values, edges) / np.diff([*edges, len(values)]), np.float64)


def tick_texts(values: Sequence[float]) -> list[str]:
    """Numbers of an axis, all with as many places as any of them needs."""
    places = max((len(f"{one:.6g}".partition(".")[2]) for one in values), default=0)
    return [f"{one:.{places}f}".replace("-", "−") for one in values]
