"""Text recognition for scanned pages, where the extra `ocr` is installed. Its models are part of the package."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

from ingest.loading.pdf.lines import Cell

_SCALE = 2.0  # pixels per point: 144 dots an inch
_MAX_PIXELS = 4000  # of a page's longer side
_MIN_SCORE = 0.5  # how sure of a line the recogniser must be, of 1


def recogniser() -> Callable[[Any], list[Cell]] | None:
    """What reads the picture of a pypdfium2 page, None where RapidOCR is not installed."""
    return _recognise if importlib.util.find_spec("rapidocr") else None


@cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(params={"Global.log_level": "critical"})


def _recognise(page: Any) -> list[Cell]:
    width, height = page.get_size()
    scale = min(_SCALE, _MAX_PIXELS / max(width, height, 1.0))
    picture = page.render(scale=scale).to_numpy()
    found = _engine()(picture)
    cells = []
    for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True) if found.txts else ():
        if score < _MIN_SCORE or not text.strip():
            continue
        xs, ys = [float(point[0]) / scale for point in box], [height - float(point[1]) / scale for point in box]
        cells.append(Cell(" ".join(text.split()), min(xs), max(xs), min(ys), max(ys)))
    return sorted(cells, key=lambda cell: (-round(cell.middle / 6), cell.left))
