"""Whatever the bytes, reading them gives text or a typed error, of bounded size, and nothing else."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.loading import SUPPORTED, Loaded, TooLarge, load
from ingest.loading.interface import Limits
from rag.errors import SourceError
from tests.unit.test_loading_office import docx, epub, odt, paragraph, pptx, xlsx
from tests.unit.test_loading_pdf import pdf, prose

HOSTILE_SECONDS = 20
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
WHOLE = {
    "a.docx": docx(paragraph("Part", "Heading1") + paragraph("Words.")),
    "a.xlsx": xlsx({"S": [["a", "b"], [1, 2]]}),
    "a.pptx": pptx([("T", "Words.", "Notes")]),
    "a.odt": odt("<text:p>Words.</text:p>"),
    "a.epub": epub(["<p>Words.</p>"]),
    "a.pdf": pdf(prose(50, 700, ["Some words.", "Other words."]), prose(50, 700, ["More."])),
    "a.eml": b"From: a@b.c\nSubject: x\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nWords.\n--x--\n",
    "a.rtf": rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}}\f0 Words \b bold\b0\par}",
    "a.ipynb": b'{"cells": [{"cell_type": "code", "source": ["x"], "outputs": [{"data": {"text/plain": "1"}}]}]}',
    "a.xml": b'<rss><channel><title>F</title><item a="b"><title>T</title>x<b/></item></channel></rss>',
    "a.html": b"<html><body><main><table><tr><td rowspan=2>a</td></tr></table><ul><li>x</ul></main></body></html>",
    "a.csv": b'a,b\n1,"2\n3"\n',
    "a.json": b'{"a": [1, {"b": null}]}',
}


def outcome(name: str, data: bytes, limits: Limits | None = None) -> Loaded | SourceError:
    """What reading gives; any exception but a typed error fails the test that calls this."""
    try:
        found = load(name, data, limits or Limits())
    except SourceError as error:
        _check_message(error)
        return error
    assert found.text.strip()
    assert "\r" not in found.text
    assert "\0" not in found.text
    found.text.encode()
    assert list(found.pages) == sorted(found.pages)
    assert all(0 <= start <= len(found.text) for start in found.pages)
    assert all(len(value) <= 300 for value in found.metadata.values())
    return found


def _check_message(error: SourceError) -> None:
    assert 0 < len(str(error)) < 400
    assert "\n" not in str(error)
    assert type(error).code != SourceError.code


@given(st.sampled_from(sorted(SUPPORTED)), st.binary(max_size=400))
@RELAXED
def test_any_bytes_under_any_suffix_are_text_or_a_typed_error(suffix: str, data: bytes) -> None:
    outcome(f"a{suffix}", data)


@given(st.sampled_from(sorted(SUPPORTED)), st.text(max_size=200))
@RELAXED
def test_any_words_under_any_suffix_are_text_or_a_typed_error(suffix: str, words: str) -> None:
    outcome(f"a{suffix}", words.encode("utf-8", "replace"))


@given(st.sampled_from(sorted(WHOLE)), st.data())
@RELAXED
def test_a_document_that_is_cut_off_or_altered_is_text_or_a_typed_error(name: str, draw: st.DataObject) -> None:
    data = bytearray(WHOLE[name])
    for _ in range(draw.draw(st.integers(0, 8))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    outcome(name, bytes(data[: draw.draw(st.integers(1, len(data)))]))


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_the_whole_documents_are_read(name: str) -> None:
    assert isinstance(outcome(name, WHOLE[name]), Loaded)


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_limit_on_characters_holds_for_every_format(name: str) -> None:
    assert isinstance(outcome(name, WHOLE[name], Limits(characters=1)), TooLarge)


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_documents_format_is_told_by_its_name_not_its_content(name: str) -> None:
    for other in WHOLE:
        outcome(other, WHOLE[name])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.docx", docx(paragraph("x") * 200_000)),
        ("a.docx", docx("".join(paragraph(f"{n}", f"Heading{1 + n % 2}") for n in range(20_000)))),
        ("a.rtf", b"{\\rtf1 " + b"{" * 200_000),
        ("a.rtf", b"{\\rtf1 " + b"a\\par " * 200_000 + b"}"),
        ("a.rst", b".. note::\n" * 20_000),
        ("a.rst", b"`" * 200_000),
        ("a.org", b"*" * 200_000 + b" x"),
        ("a.adoc", b"= x\n" * 50_000),
        ("a.pdf", pdf(*[prose(50, 700, ["x"])] * 2000)),
        ("a.pdf", pdf([(x, y, 4.0, "x") for x in range(50, 550, 10) for y in range(50, 750, 7)])),
        ("a.xlsx", xlsx({"S": [["a"] * 20] * 20_000})),
        ("a.epub", epub(["<div>" * 2000 + "x"] * 5)),
        ("a.txt", b"\xe9" * 3_000_000),
        ("a.txt", b"a\0" * 1_000_000),
    ],
    ids=lambda each: each if isinstance(each, str) else f"{len(each)} bytes",
)
def test_large_and_strange_documents_take_bounded_time(name: str, data: bytes) -> None:
    started = time.monotonic()
    outcome(name, data)
    assert time.monotonic() - started < HOSTILE_SECONDS
