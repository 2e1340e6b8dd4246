"""Real documents of every format, some broken, locked or scanned: each gives its text or says why not."""

from __future__ import annotations

import importlib.util
import re
import time
from difflib import SequenceMatcher
from pathlib import Path

import pytest

from ingest.loading import Loaded, load
from rag.errors import SourceError

FILES = Path(__file__).parents[3] / "shared" / "data" / "files"
EXPECTED = FILES / "markitdown" / "expected_outputs"
SECONDS = 30
OCR = importlib.util.find_spec("rapidocr") is not None

pytestmark = pytest.mark.skipif(
    not FILES.is_dir(), reason=f"NO REAL FILES: {FILES} is not there, so nothing here was checked"
)

# What each file comes to: words that stand in its text, or the code of the error.
OUTCOMES: dict[str, tuple[str, ...] | str] = {
    "markitdown/LICENSE": ("MIT License",),
    "markitdown/MEDRPT-2024-PAT-3847_medical_report_scan.pdf": "needs_ocr",
    "markitdown/RECEIPT-2024-TXN-98765_retail_purchase.pdf": ("TECHMART ELECTRONICS", "SUBTOTAL $863.91"),
    "markitdown/REPAIR-2022-INV-001_multipage.pdf": ("| Body Labor |", "batman@wayneindustries.com"),
    "markitdown/SPARSE-2024-INV-1234_borderless_table.pdf": ("| SKU-9201 |  | 780 | 778 |  | OK |",),
    "markitdown/equations.docx": ("For", "The angle is"),
    "markitdown/masterformat_partial_numbering.pdf": ("KEN SARGENT HOUSE",),
    "markitdown/movie-theater-booking-2024.pdf": ("| Universal Studios Distribution |", "STARLIGHT CINEMAS"),
    "markitdown/random.bin": "unsupported_format",
    "markitdown/rlink.docx": ("Testing Linked Images",),
    "markitdown/test.docx": ("# Abstract", "49e168b7-d2ae-407f-a055-2167576f39a1"),
    "markitdown/test.epub": ("Chapter 1: Test Content", "This is a blockquote"),
    "markitdown/test.json": ("5b64c88c-b3c3-4510-bcb8-da0b200602d8: uuid_key",),
    "markitdown/test.pdf": ("1 Introduction", "conversations"),
    "markitdown/test.pptx": ("2cdda5c8-e50e-4db4-b5f0-9722a649f455", "44bf7d06-5e7a-4a40-a2e1-a2e42ef28c8a"),
    "markitdown/test.xls": ("6ff4173b-42a5-4784-9b19-f49caff4d93d", "## 09060124-b5e7-4717-9d07-3c046eb"),
    "markitdown/test.xlsx": ("6ff4173b-42a5-4784-9b19-f49caff4d93d", "affc7dad-52dc-4b98-9b5d-51e65d8a8ad0"),
    "markitdown/test_blog.html": ("Large language models (LLMs) are powerful tools",),
    "markitdown/test_mskanji.csv": ("| 佐藤太郎 | 30 | 東京 |", "髙橋淳"),
    "markitdown/test_notebook.ipynb": ("# Test Notebook", 'print("markitdown")'),
    "markitdown/test_outlook_msg.msg": ("Subject: Test Email Message", "This is the body of the test email message"),
    "markitdown/test_rss.xml": ("# The Official Microsoft Blog", "Ignite 2024"),
    "markitdown/test_serp.html": ("Microsoft Corporation",),
    "markitdown/test_wikipedia.html": ("founded by Bill Gates and Paul Allen", "| 2023 | 211,915 |"),
    "markitdown/test_with_comment.docx": ("Comment: This is a test comment. 12df-321a",),
    "unstructured/LICENSE.md": ("Apache License",),
    "unstructured/README.org": ("# Example Docs",),
    "unstructured/README.rst": ("# Example Docs", "layout-parser-paper.pdf"),
    "unstructured/codeblock.md": ("```",),
    "unstructured/docx-hdrftr.docx": ("Main document",),
    "unstructured/docx-tables.docx": ("| Header Col 1 | Header Col 2 |",),
    "unstructured/duplicate-paragraphs.doc": ("This document contains duplicates",),
    "unstructured/eml/fake-email-attachment.eml": ("Hey this is a fake attachment!",),
    "unstructured/eml/fake-email-malformed-encoding.eml": ("Roses are red",),
    "unstructured/eml/fake-email.eml": ("Violets are blue",),
    "unstructured/eml/family-day.eml": ("face painting",),
    "unstructured/eml/mime-html-only.eml": ("proposed by Scott Fahlman",),
    "unstructured/empty.txt": "empty_document",
    "unstructured/fake-doc.rtf": ("# My First Heading", "| Row 1, Cell 1 | Row 1, Cell 2 |"),
    "unstructured/fake-html-cp1252.html": ("schöne Frau", "15,50 €"),
    "unstructured/fake-html-pre.htm": ("UNITING AND STRENGTHENING AMERICA",),
    "unstructured/fake-html.html": ("# My First Heading", "- A test list"),
    "unstructured/fake-incomplete-json.txt": ("{",),
    "unstructured/fake-power-point-malformed.pptx": ("Test Slide",),
    "unstructured/fake-power-point-table.pptx": ("| Red | Green | Blue |",),
    "unstructured/fake-power-point.pptx": ("Here is a lot of text!",),
    "unstructured/fake-text-utf-16.txt": ("This is a test document",),
    "unstructured/fake-text-utf-32.txt": ("This is a test document",),
    "unstructured/fake.docx": ("Lorem ipsum dolor sit amet.",),
    "unstructured/fake.odt": ("Lorem ipsum dolor sit amet.", "| Leader | Sarah | Mark | Ryan |"),
    "unstructured/pdf/copy-protected.pdf": ("LayoutParser: A Unified Toolkit",),
    "unstructured/pdf/emphasis-text.pdf": ("Now Italic and bold.",),
    "unstructured/pdf/failure-after-repair.pdf": ("Understanding Breast Cancer",),
    "unstructured/pdf/fake-memo.pdf": ("May 5, 2023",),
    "unstructured/pdf/invalid-pdf-structure-pdfminer-one-page.pdf": ("National Cybersecurity Strategy",),
    "unstructured/pdf/korean-text-with-tables.pdf": ("빅포인트 적립",),
    "unstructured/pdf/list-item-example.pdf": ("Module One - Introduction to Product",),
    "unstructured/pdf/loremipsum-flat.pdf": "needs_ocr",
    "unstructured/pdf/multi-column-2p.pdf": ("relies on efficient passage retrieval to select candidate contexts",),
    "unstructured/pdf/password.pdf": "encrypted_document",
    "unstructured/pdf/single_table.pdf": "needs_ocr",
    "unstructured/simple-table.md": ("|",),
    "unstructured/simple.json": ("text: These are a few of my favorite things:",),
    "unstructured/simple.ndjson": ("text: Parrots",),
    "unstructured/simple.yaml": ("french-hens: 3",),
    "unstructured/simple.zip": "unsupported_format",
    "unstructured/stanley-cups-utf-16.csv": ("| Maple Leafs | TOR | 13 |",),
    "unstructured/stanley-cups.csv": ("| Team | Location | Stanley Cups |\n| --- | --- | --- |\n| Blues | STL | 1 |",),
    "unstructured/stanley-cups.xlsx": ("## Stanley Cups Since 67", "| Flyers | PHI | 2 |"),
    "unstructured/umlauts-non-utf8.md": ("ü",),
    "unstructured/umlauts-utf8.md": ("ü",),
}
PAGES = {
    "markitdown/REPAIR-2022-INV-001_multipage.pdf": 3,
    "markitdown/SPARSE-2024-INV-1234_borderless_table.pdf": 2,
    "markitdown/test.pptx": 6,
    "markitdown/test.xlsx": 2,
    "markitdown/test.xls": 2,
    "unstructured/pdf/failure-after-repair.pdf": 76,
    "unstructured/pdf/multi-column-2p.pdf": 2,
    "unstructured/stanley-cups.xlsx": 2,
}


def read(name: str) -> Loaded:
    return load(name, (FILES / name).read_bytes())


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def test_every_file_has_an_expected_outcome() -> None:
    found = {each.relative_to(FILES).as_posix() for each in FILES.rglob("*") if each.is_file()}
    assert {each for each in found if "expected_outputs" not in each} == set(OUTCOMES)


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_file_gives_its_text_or_says_why_not(name: str) -> None:
    expected = OUTCOMES[name]
    started = time.monotonic()
    if expected == "needs_ocr" and OCR:
        pytest.skip("the extra ocr is installed: see the test of scans")
    if isinstance(expected, str):
        with pytest.raises(SourceError) as caught:
            read(name)
        assert type(caught.value).code == expected
    else:
        text = read(name).text
        assert [each for each in expected if each not in text] == []
    assert time.monotonic() - started < SECONDS


@pytest.mark.skipif(not OCR, reason="the extra ocr is not installed")
def test_a_scan_is_read_where_the_extra_is_installed() -> None:
    text = read("unstructured/pdf/loremipsum-flat.pdf").text
    assert "Lorem ipsum dolor sit amet, consectetur adipiscing elit" in text


@pytest.mark.parametrize(("name", "pages"), PAGES.items())
def test_pages_slides_and_sheets_are_told(name: str, pages: int) -> None:
    found = read(name)
    assert len(found.pages) == pages
    assert found.pages[0] == 0


@pytest.mark.parametrize("name", sorted(each.stem for each in EXPECTED.glob("*.md")) if FILES.is_dir() else [])
def test_a_pdfs_words_stand_in_the_order_that_another_program_found(name: str) -> None:
    golden, ours = words((EXPECTED / f"{name}.md").read_text()), words(read(f"markitdown/{name}.pdf").text)
    same = SequenceMatcher(None, golden, ours, autojunk=False).get_matching_blocks()
    assert sum(block.size for block in same) >= 0.95 * len(golden)
