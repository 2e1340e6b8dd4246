"""Tables of a report, and the line that says where a mean lies within its interval."""

from __future__ import annotations

from collections.abc import Sequence

from eval.report.markup import Child, Html, element, join, number
from eval.report.scales import Scale
from eval.report.svg import colour


def table(head: Sequence[Child], rows: Sequence[Sequence[Child]], caption: str, numbers: bool = True) -> Html:
    """A table that scrolls sideways by itself, by keyboard too. The first cell of a row names it; `numbers` puts the
    others to the right."""
    top = element("tr", *(element("th", each, scope="col") for each in head))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", each) for each in row[1:])) for row in rows
    ]
    made = element(
        "table",
        element("thead", top),
        element("tbody", *body),
        class_="numbers" if numbers else None,
        aria_label=caption,
    )
    # Beside the table and not its caption, which would scroll away with it.
    said = element("p", caption, class_="note caption", aria_hidden="true")
    return join([said, element("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption)])


def folded(summary: str, *children: Child) -> Html:
    """What can be opened by a click or by keyboard."""
    return element("details", element("summary", summary), *children)


def interval_line(mean: float, low: float, high: float, within: tuple[float, float], index: int) -> Html:
    """A mean and its interval on a line that stands for the values `within`. It repeats the number beside it, and is
    hidden from those who hear the page."""
    width, y = 96.0, 6.0
    place = Scale(*within, 0, width)
    return element(
        "svg",
        element("line", x1=0, y1=y, x2=width, y2=y, class_="grid"),
        element("line", x1=place(low), y1=y, x2=place(high), y2=y, class_=f"span {colour(index)}"),
        element("circle", cx=place(mean), cy=y, r=4, class_=f"mark {colour(index)}"),
        viewBox=f"-5 0 {number(width + 10)} 12",
        width=width + 10,
        height=12,
        class_="strip",
        aria_hidden="true",
    )
