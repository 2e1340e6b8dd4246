"""The frame of a plot: its size, axes, grid, marks and names. Places are in CSS pixels, from the upper left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.report.markup import Child, Html, element, join, number, plain
from eval.report.scales import Scale, label, ticks

# Colours of the style sheet, and shapes of marks; together they tell this many configurations apart.
COLOURS = 8
_SHAPES = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """A plot's size, and the margins that its axes' texts need."""

    width: float
    height: float
    left: float = 48
    right: float = 16
    top: float = 12
    bottom: float = 44

    def x(self, low: float, high: float, logarithmic: bool = False) -> Scale:
        """A scale from left to right."""
        return Scale(low, high, self.left, self.width - self.right, logarithmic)

    def y(self, low: float, high: float) -> Scale:
        """A scale from below to above."""
        return Scale(low, high, self.height - self.bottom, self.top)

    @property
    def narrow(self) -> bool:
        """Whether it is drawn for a phone."""
        return self.width < 500


WIDE, NARROW = Frame(864, 380), Frame(352, 300, left=42, right=14)


def colour(index: int) -> str:
    """The style sheet's class for configuration `index`."""
    return f"c{index % COLOURS}"


def figure(frame: Frame, title: str, description: str, *marks: Child, **attributes: str) -> Html:
    """An SVG with a name and a description for those who do not see it."""
    return element(
        "svg",
        element("title", plain(title)),
        element("desc", plain(description)),
        *marks,
        viewBox=f"0 0 {number(frame.width)} {number(frame.height)}",
        width=frame.width,
        height=frame.height,
        role="img",
        aria_label=f"{title}. {description}",
        **attributes,
    )


def twice(draw: Callable[[Frame], Html], wide: Frame = WIDE, narrow: Frame = NARROW) -> Html:
    """A plot for a screen and for a phone; the style sheet shows the one that fits."""
    return join([element("div", draw(wide), class_="wide"), element("div", draw(narrow), class_="narrow")])


def x_axis(frame: Frame, scale: Scale, at: Sequence[float], name: str, step: float = 0.0) -> Html:
    """Ticks, their numbers and the axis's name, below the plot."""
    bottom = frame.height - frame.bottom
    parts = [line(frame.left, bottom, frame.width - frame.right, bottom, "axis")]
    for each in at:
        place = scale(each)
        parts.append(line(place, bottom, place, bottom + 4, "axis"))
        parts.append(words(place, bottom + 17, label(each, step), anchor="middle"))
    middle = (frame.left + frame.width - frame.right) / 2
    return join([*parts, words(middle, bottom + 36, name, "name", "middle")])


def y_axis(frame: Frame, scale: Scale, at: Sequence[float], step: float, name: str | None = None) -> Html:
    """Grid lines, their numbers, and the axis's name above the plot."""
    parts = []
    for each in at:
        place = scale(each)
        parts.append(line(frame.left, place, frame.width - frame.right, place, "grid"))
        parts.append(words(frame.left - 7, place + 4, label(each, step), anchor="end"))
    return join([*parts, words(4, 12, name, "name") if name else None])


def axis_of(low: float, high: float, count: int = 5) -> tuple[list[float], float]:
    """An axis's ticks that hold these values, and the step between them."""
    at = ticks(low, high, count)
    return at, at[1] - at[0]


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def words(x: float, y: float, value: str, class_: str = "tick", anchor: str | None = None) -> Html:
    """A text at a place."""
    return element("text", plain(value), x=x, y=y, class_=class_, text_anchor=anchor)


def mark(x: float, y: float, index: int, tip: str | None = None, size: float = 5) -> Html:
    """The mark of configuration `index`: circle, square, triangle or diamond, so that colour is not all there is."""
    half = number(size)
    shapes = (
        f"M{number(-size)} 0a{half} {half} 0 1 0 {number(2 * size)} 0a{half} {half} 0 1 0 {number(-2 * size)} 0z",
        f"M{number(-size * 0.9)} {number(-size * 0.9)}h{number(size * 1.8)}v{number(size * 1.8)}"
        f"h{number(-size * 1.8)}z",
        f"M0 {number(-size * 1.2)}L{number(size * 1.15)} {half}H{number(-size * 1.15)}z",
        f"M0 {number(-size * 1.3)}L{number(size * 1.2)} 0L0 {number(size * 1.3)}L{number(-size * 1.2)} 0z",
    )
    return element(
        "path",
        element("title", plain(tip)) if tip else None,
        d=shapes[(index + index // COLOURS) % _SHAPES],
        transform=f"translate({number(x)} {number(y)})",
        class_=f"mark {colour(index)}",
    )


def legend(names: Sequence[str]) -> Html | None:
    """What mark belongs to which configuration; none is needed for one."""
    if len(names) < 2:
        return None
    items = []
    for index, name in enumerate(names):
        key = element("svg", mark(8, 8, index), viewBox="0 0 16 16", width=16, height=16, aria_hidden="true")
        items.append(element("li", key, " ", name))
    return element("ul", *items, class_="legend")
