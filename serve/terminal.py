"""How passages and answers look in a terminal. Document text is shown as it is: never as markup or control codes."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import AsyncGenerator, Sequence
from typing import Any, TextIO

from serve.asking import End, Given

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
SNIPPET_LINES = 4


def plain(text: str) -> str:
    """Text without terminal control codes: a document must not drive the reader's terminal."""
    return _CONTROL.sub("", text)


class Style:
    """Bold and dim where the stream is a terminal, nothing elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._on = stream.isatty()

    def bold(self, text: str) -> str:
        """Text that stands out."""
        return f"\x1b[1m{text}\x1b[0m" if self._on else text

    def dim(self, text: str) -> str:
        """Text that stands back."""
        return f"\x1b[2m{text}\x1b[0m" if self._on else text


def place(passage: dict[str, Any]) -> str:
    """Source and heading path on one line."""
    headings = " > ".join(passage["heading_path"])
    title = passage["title"]
    path = " > ".join(each for each in (title, headings) if each)
    return plain(f"{passage['source']}  {path}".replace("\n", " "))


def print_passages(passages: Sequence[dict[str, Any]], out: TextIO = sys.stdout) -> None:
    """Ranked passages: number, score, source, heading path, and the first lines."""
    style = Style(out)
    width = min(shutil.get_terminal_size((100, 24)).columns, 110)
    for number, passage in enumerate(passages, start=1):
        cosine = f"  cosine {passage['dense_score']:.2f}" if passage["dense_score"] is not None else ""
        keywords = f"  bm25 {passage['sparse_score']:.1f}" if passage["sparse_score"] is not None else ""
        print(
            f"{number:2}. {passage['score']:.4f}  {style.bold(place(passage))}{style.dim(cosine + keywords)}", file=out
        )
        text = plain(" ".join(passage["text"].split()))
        for line in textwrap.wrap(text, width - 4, max_lines=SNIPPET_LINES, placeholder=" …"):
            print(f"    {line}", file=out)
        print(file=out)


async def print_answer(
    events: AsyncGenerator[Given | str | End], out: TextIO = sys.stdout
) -> tuple[list[dict[str, Any]], str, End | None]:
    """Stream an answer, then its list of sources. Returns the context, the text and the end, for `--json`."""
    style = Style(out)
    context: list[dict[str, Any]] = []
    text, end = "", None
    async for event in events:
        if isinstance(event, Given):
            context = event.context
        elif isinstance(event, str):
            text += event
            print(plain(event), end="", flush=True, file=out)
        else:
            end = event
    print(file=out)
    if context:
        cited = {each["number"] for each in end.citations} if end else set()
        head = "Sources" if cited else "Sources (given to the model, which cited none)"
        print(f"\n{style.bold(head)}", file=out)
        for passage in context:
            mark = "" if not cited or passage["number"] in cited else style.dim("  not cited")
            print(
                f"[{passage['number']}] {place(passage)}  {style.dim(format(passage['score'], '.4f'))}{mark}", file=out
            )
    for dropped in end.dropped if end and not end.abstained else ():
        print(style.dim(f"left out: {plain(dropped['what'])} ({plain(dropped['reason'])})"), file=out)
    return context, text, end
