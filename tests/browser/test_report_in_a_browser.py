"""The report in Chromium: nothing on it runs, nothing sticks out, and no two texts of a plot lie upon each other."""

from __future__ import annotations

import json
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

from eval.report.html import POLICY, render
from tests.report_kit import HOSTILE, evaluation, result

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")

# Looks at the page from outside: the page itself may not run a script.
_LOOK = """
const inside = frame.contentDocument, found = { scripts: inside.querySelectorAll('script, img').length, overlaps: [] };
found.hit = window.hit === 1;
found.title = inside.title;
found.sections = [...inside.querySelectorAll('section')].map(each => each.id);
found.width = inside.documentElement.scrollWidth;
const outside = (a, edge) => a.left < edge.left - 1 || a.right > edge.right + 1 || a.top < edge.top - 1;
const beside = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1;
const apart = (a, b) => beside(a, b) || a.bottom <= b.top + 3 || b.bottom <= a.top + 3;
found.plots = 0;
found.smallest = 100;
for (const plot of inside.querySelectorAll('svg[role=img]')) {
  const edge = plot.getBoundingClientRect();
  if (!edge.width) continue;
  found.plots += 1;
  const texts = [...plot.querySelectorAll('text')].map(each => [each.textContent, each.getBoundingClientRect()]);
  found.smallest = Math.min(found.smallest, 12 * edge.width / plot.viewBox.baseVal.width);
  texts.forEach(([said, box], place) => {
    if (outside(box, edge)) found.overlaps.push([said, 'the edge']);
    for (const [other, near] of texts.slice(place + 1)) if (!apart(box, near)) found.overlaps.push([said, other]);
  });
}
document.body.dataset.found = JSON.stringify(found);
"""


def looked(page: str, width: int, folder: Path) -> dict[str, Any]:
    """What the page is like in a window of `width` CSS pixels."""
    holder = (
        f'<!doctype html><meta charset="utf-8"><body><iframe id="frame" style="width:{width}px;height:900px;border:0" '
        f'srcdoc="{escape(page)}"></iframe><script>frame.onload = () => {{ {_LOOK} }};</script></body>'
    )
    (folder / "holder.html").write_text(holder, encoding="utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--virtual-time-budget=5000", f"--window-size={width + 100},1000", "--dump-dom"]
    done = subprocess.run(
        [*command, (folder / "holder.html").as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    found: dict[str, Any] = json.loads(unescape(done.stdout.split('data-found="')[1].split('"')[0]))
    return found


@pytest.mark.parametrize("width", [390, 820, 1200])
def test_the_page_fits_its_window_and_its_texts_stand_apart(width: int, tmp_path: Path) -> None:
    page = render(evaluation(*(result(f"configuration-{each}", each + 2, p50=8 + each / 10) for each in range(3))))
    found = looked(page, width, tmp_path)
    assert found["width"] <= width
    assert found["overlaps"] == []
    assert found["smallest"] >= 9.5
    assert found["plots"] == 2 + 3 + 9
    assert found["sections"] == ["summary", "latency", "wins", "recall", "scores", "worst", "made"]


def test_hostile_texts_run_nothing_even_without_the_policy(tmp_path: Path) -> None:
    page = render(evaluation(result(hostile=HOSTILE), result(f"new{HOSTILE}", 2, hostile=HOSTILE)))
    assert escape(POLICY) in page
    found = looked(page.replace(escape(POLICY), "default-src *"), 1000, tmp_path)
    assert (found["scripts"], found["hit"]) == (0, False)
    assert found["title"] == "made-up test: retrieval"
    assert len(found["sections"]) == 7
