"""Multipart bodies onto the disk: the same whatever pieces they arrive in, and never anything but a clear refusal."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import BadInput
from serve.receiving import MAX_FIELD_BYTES, Form, document_name, receive_form

TYPE = "multipart/form-data; boundary=XX"


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    return f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"


END = b"--XX--\r\n"


def receive(body: bytes, folder: Path, cuts: Sequence[int] = (), content_type: str = TYPE, max_files: int = 10) -> Form:
    async def pieces() -> AsyncIterator[bytes]:
        places = [0, *sorted(cuts), len(body)]
        for start, end in pairwise(places):
            yield body[start:end]

    return asyncio.run(receive_form(content_type, pieces(), folder, max_files))


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=6))
def test_a_file_arrives_byte_for_byte_in_whatever_pieces(content: bytes, cuts: list[int]) -> None:
    body = part("files", content, "a.bin") + part("collection", b"docs") + END
    with tempfile.TemporaryDirectory() as folder:
        form = receive(body, Path(folder), [min(each, len(body)) for each in cuts])
        assert [(each.name, each.file.read_bytes()) for each in form.files] == [("a.bin", content)]
        assert form.fields == {"collection": "docs"}


@given(st.binary(max_size=400))
def test_any_other_body_is_refused_in_words(body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, suppress(BadInput):
        assert receive(body, Path(folder)).files == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (part("files", b"x", "a.md"), "breaks off in file 1 ('a.md')"),
        (part("documents", b"x", "a.md") + END, "in the field 'files'"),
        (part("colection", b"x") + END, "'colection' is not supported"),
        (part("files", b"x", "") + END, "file 1 has no name"),
        (part("files", b"x", "a.md") + part("files", b"x", "../../etc/passwd") + END, "file 2 has a name"),
        (part("files", b"x", "a") + part("files", b"x", "b") + part("files", b"x", "c") + END, "more than 2 files"),
        (part("collection", b"\xff") + END, "'collection' is not UTF-8"),
        (part("metadata", b"x" * (MAX_FIELD_BYTES + 1)) + END, "'metadata' has more than"),
        (part("collection", b"a") + part("collection", b"b") + END, "'collection' was sent twice"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, body: bytes, said: str) -> None:
    with pytest.raises(BadInput) as raised:
        receive(body, tmp_path, max_files=2)
    assert said in str(raised.value)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/mixed; boundary=XX", "", "text/plain"])
def test_without_a_form_and_its_boundary_nothing_is_read(tmp_path: Path, content_type: str) -> None:
    with pytest.raises(BadInput, match="boundary"):
        receive(END, tmp_path, content_type=content_type)


def test_no_name_that_was_sent_becomes_a_name_on_the_disk(tmp_path: Path) -> None:
    receive(part("files", b"x", "/etc/cron.d/job") + END, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["1"]


@pytest.mark.parametrize(
    ("given_name", "name"),
    [("a.md", "a.md"), ("/a//b/./c.md", "a/b/c.md"), ("a\\b.md", "a/b.md"), ("Übersicht 1.md", "Übersicht 1.md")],
)
def test_names_are_relative_and_plain(given_name: str, name: str) -> None:
    assert document_name(given_name, "file 1") == name


@pytest.mark.parametrize("name", ["", "/", "..", "a/../b", "a\x00b", "a\nb", "\u202e", "x" * 600])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="file 7"):
        document_name(name, "file 7")
