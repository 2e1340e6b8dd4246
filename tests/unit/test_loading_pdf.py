"""PDFs: reading order, tables, headings and pages; scans, locks and damage are named."""

from __future__ import annotations

import zlib

import pytest

from ingest.loading import Damaged, EmptyDocument, Encrypted, Limits, NeedsOcr, TooLarge, load

Line = tuple[float, float, float, str]  # left, bottom, size of the letters, text


def pdf(*pages: list[Line], title: str = "", extra: bytes = b"", trailer: bytes = b"") -> bytes:
    """A PDF whose pages have the lines in that order, in Helvetica."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for lines in pages:
        shown = b"".join(
            b"BT /F1 %g Tf %g %g Td (%s) Tj ET\n" % (size, x, y, text.encode("cp1252").replace(b"(", b"\\("))
            for x, y, size, text in lines
        )
        packed = zlib.compress(shown + extra)
        objects.append(b"<< /Length %d /Filter /FlateDecode >> stream\n%s\nendstream" % (len(packed), packed))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(b"%d 0 R" % each for each in kids), len(kids))
    objects.append(b"<< /Title (%s) /CreationDate (D:20240102030405Z) >>" % title.encode())
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % each for each in offsets)
    size = len(objects) + 1
    head = b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    end = b"trailer << /Size %d /Root 1 0 R /Info %d 0 R %s>>\n" % (size, len(objects), trailer)
    return out + head + end + b"startxref\n%d\n%%%%EOF" % len(out)


def prose(left: float, top: float, words: list[str], size: float = 10) -> list[Line]:
    """Lines of that text below each other."""
    return [(left, top - 12 * number, size, line) for number, line in enumerate(words)]


PARAGRAPH = [
    "A long line of ordinary prose that fills the width of its column well",
    "and goes on in the next line until the paragraph ends.",
]
BOX = b"10 10 100 100 re f\n"


def test_lines_of_a_paragraph_are_joined_and_paragraphs_stay_apart() -> None:
    text = load("a.pdf", pdf([*prose(50, 700, PARAGRAPH), *prose(50, 600, ["Another."])])).text
    assert text == f"{' '.join(PARAGRAPH)}\n\nAnother.\n\n"


def test_short_lines_stay_lines() -> None:
    lines = ["Total 12.00", "Paid by card", "Reference number of the payment: 1234567890"]
    assert load("a.pdf", pdf(prose(50, 700, lines))).text.strip() == "\n".join(lines)


def test_where_each_page_starts_is_told() -> None:
    found = load("a.pdf", pdf(prose(50, 700, ["First."]), [], prose(50, 700, ["Third."])))
    assert len(found.pages) == 3
    assert found.text[found.pages[0] :].startswith("First.")
    assert found.text[found.pages[1] :].startswith("Third.")  # the second has no text of its own
    assert found.text[found.pages[2] :].startswith("Third.")


def test_columns_are_read_one_after_the_other() -> None:
    left = [f"the left column goes on in line {number} of it" for number in range(20)]
    right = [f"and the right one has other words in line {number}" for number in range(20)]
    text = load("a.pdf", pdf([*prose(50, 700, left), *prose(320, 700, right)])).text
    assert "|" not in text
    assert text.index(left[-1]) < text.index(right[0])


@pytest.mark.parametrize("by_row", [True, False], ids=["by row", "by column"])
def test_rows_of_facts_are_a_table_in_whatever_order_they_are_drawn(by_row: bool) -> None:
    rows = [["Item", "Count", "Price"], ["Bolt", "12", "0.50"], ["Nut", "", "0.20"], ["Long washer", "7", ""]]
    lines = [
        (50 + 120 * x, 700 - 15 * y, 10.0, cell) for y, row in enumerate(rows) for x, cell in enumerate(row) if cell
    ]
    text = load("a.pdf", pdf(lines if by_row else sorted(lines))).text
    assert text.strip() == (
        "| Item | Count | Price |\n| --- | --- | --- |\n| Bolt | 12 | 0.50 |\n| Nut |  | 0.20 |\n| Long washer | 7 |  |"
    )


def test_larger_letters_are_headings_and_the_first_is_the_title() -> None:
    found = load("a.pdf", pdf([(50, 740, 20, "The Title"), (50, 700, 14, "A part"), *prose(50, 680, PARAGRAPH * 5)]))
    assert found.text.startswith("# The Title\n\n## A part\n\nA long line")
    assert found.title == "The Title"


def test_the_documents_own_title_comes_first_and_a_placeholder_is_none() -> None:
    assert load("a.pdf", pdf(prose(50, 700, ["x"]), title="Real")).title == "Real"
    assert load("a.pdf", pdf(prose(50, 700, ["x"]), title="untitled")).title is None


def test_what_the_document_says_of_itself_is_metadata() -> None:
    assert dict(load("a.pdf", pdf(prose(50, 700, ["x"]))).metadata) == {"date": "2024-01-02"}


def test_heads_and_feet_that_repeat_on_every_page_are_dropped_and_numbers_in_them_do_not_matter() -> None:
    pages = [
        [(50.0, 780.0, 8.0, "The Manual"), *prose(50, 700, [f"Text of page {n}."]), (300.0, 20.0, 8.0, f"{n} of 6")]
        for n in range(1, 7)
    ]
    text = load("a.pdf", pdf(*pages)).text
    assert "Manual" not in text
    assert " of 6" not in text
    assert text.count("Text of page") == 6


def test_a_heading_drawn_last_stands_above_what_it_heads() -> None:
    lines = [*prose(50, 600, PARAGRAPH), *prose(50, 500, ["The end."]), (50.0, 700.0, 20.0, "Head")]
    assert load("a.pdf", pdf(lines)).text.startswith("# Head\n\nA long line")


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        (["words are con\x02", "firming this"], "words are confirming this"),
        (["a self-made thing, self\x02", "made indeed"], "a self-made thing, self-made indeed"),
    ],
    ids=["one word", "with a hyphen elsewhere"],
)
def test_words_broken_at_a_lines_end_are_mended(lines: list[str], read: str) -> None:
    from ingest.loading.pdf.flow import Page, written
    from ingest.loading.pdf.lines import HYPHEN, Cell

    cells = [
        Cell(line.replace("\x02", HYPHEN), 50, 300, 700 - 12 * number, 710 - 12 * number)
        for number, line in enumerate(lines)
    ]
    assert " ".join(written([Page(cells, 800)])[0].split()) == read


def test_pages_that_are_pictures_need_ocr() -> None:
    with pytest.raises(NeedsOcr, match="2 pages are pictures"):
        load("a.pdf", pdf([], [], extra=BOX))


def test_a_page_without_text_among_others_is_named_and_the_others_are_read() -> None:
    found = load("a.pdf", pdf([], prose(50, 700, ["Second."]), [], [], extra=BOX))
    assert found.text.strip() == "Second."
    assert found.metadata["pages_without_text"] == "1, 3-4"


def test_a_document_of_blank_pages_is_empty() -> None:
    with pytest.raises(EmptyDocument):
        load("a.pdf", pdf([], []))


def test_a_locked_pdf_is_named_as_encrypted() -> None:
    key = b"/ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >> " % (b"ab" * 32, b"cd" * 32)
    with pytest.raises(Encrypted, match="password"):
        load("a.pdf", pdf(prose(50, 700, ["x"]), trailer=key))


@pytest.mark.parametrize("data", [b"%PDF-1.4\n", b"no pdf at all", b"%PDF-1.7\n" + bytes(range(256)) * 40])
def test_what_is_no_pdf_is_named_as_damaged(data: bytes) -> None:
    with pytest.raises(Damaged):
        load("a.pdf", data)


def test_a_pdf_with_a_broken_index_is_read_all_the_same() -> None:
    whole = pdf(prose(50, 700, ["Still here."]))
    assert "Still here." in load("a.pdf", whole.replace(b"startxref\n", b"startxref\n9")).text


def test_more_pages_or_characters_than_the_limit_are_refused_by_the_settings_name() -> None:
    data = pdf(prose(50, 700, ["x" * 50]), prose(50, 700, ["y" * 50]))
    with pytest.raises(TooLarge, match=r"2 pages.*max_document_pages"):
        load("a.pdf", data, Limits(pages=1))
    with pytest.raises(TooLarge, match="max_document_characters"):
        load("a.pdf", data, Limits(characters=80))
