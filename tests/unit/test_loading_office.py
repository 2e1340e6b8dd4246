"""Office documents and books: headings, lists, tables, slides and sheets; locks, bombs and damage are named."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import pytest

from ingest.loading import Damaged, EmptyDocument, Encrypted, Limits, Loaded, TooLarge, load

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            package.writestr(name, content)
    return out.getvalue()


def opened(kinds: Mapping[str, str], links: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """The files that every Office package has: which part is of which kind, and where the main one is."""
    parts = "".join(f'<Override PartName="/{name}" ContentType="{kind}"/>' for name, kind in kinds.items())
    defaults = (
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    )
    return {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">{defaults}{parts}</Types>',
        "_rels/.rels": relations(links),
    }


def relations(links: Mapping[str, tuple[str, str]]) -> str:
    each = "".join(
        f'<Relationship Id="{name}" Type="{REL}/{kind}" Target="{target}"/>' for name, (kind, target) in links.items()
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{each}</Relationships>'


def paragraph(text: str, style: str = "") -> str:
    styled = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{styled}<w:r><w:t>{text}</w:t></w:r></w:p>"


def docx(body: str, more: Mapping[str, str | bytes] | None = None) -> bytes:
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml."
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{n}"><w:name w:val="heading {n}"/></w:style>' for n in (1, 2)
    )
    return zipped(
        {
            **opened(
                {"word/document.xml": f"{kind}document.main+xml", "word/styles.xml": f"{kind}styles+xml"},
                {"r1": ("officeDocument", "word/document.xml")},
            ),
            "word/_rels/document.xml.rels": relations({"r1": ("styles", "styles.xml")}),
            "word/styles.xml": f"<w:styles {W}>{styles}</w:styles>",
            "word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>",
            **(more or {}),
        }
    )


def xlsx(sheets: Mapping[str, list[list[str | float]]]) -> bytes:
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml."
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    names = list(sheets)
    numbered = list(enumerate(names, 1))
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in numbered)
    files = opened(
        {
            "xl/workbook.xml": f"{kind}sheet.main+xml",
            **{f"xl/worksheets/s{n}.xml": f"{kind}worksheet+xml" for n, _ in numbered},
        },
        {"r1": ("officeDocument", "xl/workbook.xml")},
    )
    files["xl/workbook.xml"] = f'<workbook {space} xmlns:r="{REL}"><sheets>{listed}</sheets></workbook>'
    files["xl/_rels/workbook.xml.rels"] = relations(
        {f"r{n}": ("worksheet", f"worksheets/s{n}.xml") for n, _ in numbered}
    )
    for n, name in numbered:
        rows = []
        for y, row in enumerate(sheets[name], 1):
            cells = "".join(_cell(f"{chr(65 + x)}{y}", value) for x, value in enumerate(row) if value != "")
            rows.append(f'<row r="{y}">{cells}</row>')
        files[f"xl/worksheets/s{n}.xml"] = f"<worksheet {space}><sheetData>{''.join(rows)}</sheetData></worksheet>"
    return zipped(files)


def _cell(place: str, value: str | float) -> str:
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def pptx(slides: list[tuple[str, str, str]]) -> bytes:
    """Slides of a title, a text and notes."""
    kind = "application/vnd.openxmlformats-officedocument.presentationml."
    spaces = (
        'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
        f'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:r="{REL}"'
    )
    numbers = range(1, len(slides) + 1)
    files = opened(
        {
            "ppt/presentation.xml": f"{kind}presentation.main+xml",
            **{f"ppt/slides/slide{n}.xml": f"{kind}slide+xml" for n in numbers},
            **{f"ppt/notesSlides/notesSlide{n}.xml": f"{kind}notesSlide+xml" for n in numbers},
        },
        {"r1": ("officeDocument", "ppt/presentation.xml")},
    )
    listed = "".join(f'<p:sldId id="{255 + n}" r:id="r{n}"/>' for n in numbers)
    files["ppt/presentation.xml"] = f"<p:presentation {spaces}><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>"
    files["ppt/_rels/presentation.xml.rels"] = relations({f"r{n}": ("slide", f"slides/slide{n}.xml") for n in numbers})
    for n, (title, text, notes) in enumerate(slides, 1):
        shapes = _shape("title", title) + _shape("body", text)
        tree = "<p:cSld><p:spTree>{}</p:spTree></p:cSld>"
        files[f"ppt/slides/slide{n}.xml"] = f"<p:sld {spaces}>{tree.format(shapes)}</p:sld>"
        files[f"ppt/slides/_rels/slide{n}.xml.rels"] = relations(
            {"r1": ("notesSlide", f"../notesSlides/notesSlide{n}.xml")}
        )
        files[f"ppt/notesSlides/notesSlide{n}.xml"] = (
            f"<p:notes {spaces}>{tree.format(_shape('body', notes))}</p:notes>"
        )
    return zipped(files)


def _shape(kind: str, text: str) -> str:
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="2" name="{kind}"/><p:cNvSpPr/><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>'
        f"<p:spPr/><p:txBody><a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
    )


def odt(body: str, manifest: str = "") -> bytes:
    spaces = (
        'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    )
    content = f"<office:body><office:text>{body}</office:text></office:body>"
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f"<office:document-content {spaces}>{content}</office:document-content>",
            "META-INF/manifest.xml": f"<manifest>{manifest}</manifest>",
        }
    )


def epub(chapters: list[str], more: Mapping[str, str] | None = None) -> bytes:
    items = "".join(
        f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    about = '<dc:title xmlns:dc="http://purl.org/dc/elements/1.1/">The Book</dc:title>'
    root = '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/>'
    space = "urn:oasis:names:tc:opendocument:xmlns:container"
    page = '<html xmlns="http://www.w3.org/1999/xhtml"><body>{}</body></html>'
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f'<container xmlns="{space}"><rootfiles>{root}</rootfiles></container>',
            "book.opf": (
                '<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
                f"<metadata>{about}</metadata><manifest>{items}</manifest><spine>{spine}</spine></package>"
            ),
            **{f"c{n}.xhtml": page.format(chapter) for n, chapter in enumerate(chapters)},
            **(more or {}),
        }
    )


class TestDocx:
    def test_headings_paragraphs_and_tables_stay_what_they_are(self) -> None:
        cells = "".join(f"<w:tr><w:tc>{paragraph(a)}</w:tc><w:tc>{paragraph(b)}</w:tc></w:tr>" for a, b in ["AB", "cd"])
        found = load(
            "a.docx",
            docx(
                paragraph("Part", "Heading1") + paragraph("Words.") + paragraph("Below", "Heading2")
                + f"<w:tbl>{cells}</w:tbl>"
            ),
        )  # fmt: skip
        assert found.text.strip() == "# Part\n\nWords.\n\n## Below\n\n| A | B |\n| --- | --- |\n| c | d |"
        assert (found.title, found.format, found.pages) == ("Part", "markdown", ())

    def test_signs_that_markdown_knows_are_not_doubled_by_backslashes(self) -> None:
        assert load("a.docx", docx(paragraph("Wait! 5 &gt; 4 &amp; C# ~ ok"))).text.strip() == "Wait! 5 > 4 & C# ~ ok"

    def test_an_archive_in_it_is_not_opened(self) -> None:
        inner = docx(paragraph("secret"))
        text = load("a.docx", docx(paragraph("Shown."), {"word/embeddings/x.docx": inner})).text
        assert text.strip() == "Shown."


class TestSheets:
    def test_a_sheet_is_a_page_under_its_name(self) -> None:
        found = load("a.xlsx", xlsx({"One": [["a", "b"], [1, 2.5]], "Two": [["c", "d"], ["x|y", ""]]}))
        assert found.text == (
            "## One\n\n| a | b |\n| --- | --- |\n| 1 | 2.5 |\n\n## Two\n\n| c | d |\n| --- | --- |\n| x\\|y |  |\n\n"
        )
        assert [found.text[start:][:6] for start in found.pages] == ["## One", "## Two"]

    def test_each_piece_of_a_long_sheet_names_its_columns(self) -> None:
        text = load("a.xlsx", xlsx({"S": [["name", "value"], *[[f"row {n}", n] for n in range(500)]]})).text
        pieces = [block for block in text.split("\n\n") if block.startswith("|")]
        assert len(pieces) > 5
        assert all(piece.startswith("| name | value |\n| --- | --- |\n") for piece in pieces)
        assert sum(piece.count("| row ") for piece in pieces) == 500

    def test_a_title_above_the_columns_names_is_no_header(self) -> None:
        text = load("a.xlsx", xlsx({"S": [["Sales 2024"], ["a", "b", "c"], [1, 2, 3]]})).text
        assert "Sales 2024\n\n| a | b | c |\n| --- | --- | --- |\n| 1 | 2 | 3 |" in text

    def test_more_sheets_than_the_limit_are_refused(self) -> None:
        with pytest.raises(TooLarge, match="max_document_pages"):
            load("a.xlsx", xlsx({f"S{n}": [["a", "b"], [1, 2]] for n in range(5)}), Limits(pages=4))


class TestSlides:
    def test_a_slide_is_a_page_with_its_notes(self) -> None:
        found = load("a.pptx", pptx([("First", "Said.", "Noted."), ("Second", "More.", "")]))
        first, second = (found.text[a:b].strip() for a, b in [found.pages, (found.pages[1], None)])
        assert first == "## First\n\nSaid.\n\nNotes: Noted."
        assert second == "## Second\n\nMore."
        assert found.title == "First"


class TestOthers:
    def test_an_odt_has_headings_and_text(self) -> None:
        data = odt('<text:h text:outline-level="1">Part</text:h><text:p>Words.</text:p>')
        assert load("a.odt", data).text.strip() == "# Part\n\nWords."

    def test_a_book_is_read_in_the_order_of_its_spine(self) -> None:
        found = load("a.epub", epub(["<h1>One</h1><p>First.</p>", "<h1>Two</h1><p>Last.</p>"]))
        assert found.text.strip() == "# One\n\nFirst.\n\n# Two\n\nLast."
        assert found.title == "The Book"

    def test_rich_text_has_its_letters(self) -> None:
        data = rb"{\rtf1\ansi\ansicpg1252 {\fonttbl{\f0 Arial;}}\f0 Caf\'e9 \u8364? \b bold\b0\par Next.\par}"
        text = load("a.rtf", data).text
        assert "Café €" in text
        assert "bold" in text
        assert "Arial" not in text

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("a.rst", "Title\n=====\n\nWords with ``code``.\n\n* one\n* two\n"),
            ("a.org", "* Title\nWords with =code=.\n- one\n- two\n"),
        ],
    )
    def test_other_markups_become_markdown(self, name: str, text: str) -> None:
        found = load(name, text.encode())
        assert found.text.startswith("# Title\n\nWords with `code`.")
        assert "- one\n- two" in found.text
        assert found.title == "Title"


class TestWhatIsRefused:
    @pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pptx", "a.odt", "a.epub"])
    def test_an_archive_that_unpacks_to_very_much_is_refused_unopened(self, name: str) -> None:
        with pytest.raises(TooLarge, match="max_expansion"):
            load(name, docx(paragraph("x"), {"word/bomb.xml": b"\0" * 50_000_000}))

    def test_an_archive_of_very_many_files_is_refused(self) -> None:
        with pytest.raises(TooLarge, match="archive of"):
            load("a.docx", zipped({f"{n}.xml": "" for n in range(10_001)}))

    def test_a_locked_office_file_is_named_as_encrypted(self) -> None:
        container = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
        with pytest.raises(Encrypted, match="password"):
            load("a.xlsx", container)

    def test_a_locked_odt_and_a_protected_book_are_named_as_encrypted(self) -> None:
        with pytest.raises(Encrypted):
            load("a.odt", odt("<text:p>x</text:p>", "<manifest:encryption-data/>"))
        method = '<enc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>'
        with pytest.raises(Encrypted):
            load("a.epub", epub(["<p>x</p>"], {"META-INF/encryption.xml": method}))

    def test_a_book_whose_fonts_alone_are_obscured_is_read(self) -> None:
        method = '<enc:EncryptionMethod Algorithm="http://www.idpf.org/2008/embedding"/>'
        assert "Words." in load("a.epub", epub(["<p>Words.</p>"], {"META-INF/encryption.xml": method})).text

    @pytest.mark.parametrize(
        "data",
        [b"plain words", b"<html><p>x", b"PK\x03\x04" + bytes(100), docx(paragraph("x"))[:400], b"", b"%PDF-1.4"],
        ids=["text", "html", "empty archive", "cut off", "nothing", "pdf"],
    )
    @pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pptx", "a.odt", "a.epub"])
    def test_what_is_no_such_file_is_named_as_damaged(self, name: str, data: bytes) -> None:
        with pytest.raises(Damaged):
            load(name, data)

    @pytest.mark.parametrize("name", ["a.doc", "a.xls", "a.ppt", "a.msg"])
    def test_old_formats_that_are_cut_off_are_named_as_damaged(self, name: str) -> None:
        with pytest.raises((Damaged, EmptyDocument)):
            load(name, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000))

    def test_entities_are_not_followed(self) -> None:
        bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
            f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        )
        document = f"{bomb}]><w:document {W}><w:body>{paragraph('&i;')}{paragraph('Shown.')}</w:body></w:document>"
        assert len(_text_or_nothing("a.docx", docx("", {"word/document.xml": document}))) < 1000

    def test_deep_nesting_is_refused(self) -> None:
        deep = "<w:tbl><w:tr><w:tc>" * 2000 + paragraph("x") + "</w:tc></w:tr></w:tbl>" * 2000
        assert len(_text_or_nothing("a.docx", docx(deep))) < 1000


def _text_or_nothing(name: str, data: bytes) -> str:
    try:
        found: Loaded = load(name, data)
    except (Damaged, EmptyDocument, TooLarge):
        return ""
    return found.text
