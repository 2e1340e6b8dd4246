"""A JSON body of documents is measured before it is parsed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import BadInput
from serve.bounded_json import check_counts
from serve.document_shapes import MAX_GROUPS, MAX_METADATA


def body(documents: int, **values: object) -> bytes:
    return json.dumps({"documents": [{"id": "a", "text": '{[,\\"', **values}] * documents}).encode()


def test_one_document_too_many_is_refused() -> None:
    check_counts(body(3), 3)
    with pytest.raises(BadInput, match="more than 3 documents"):
        check_counts(body(4), 3)


def test_the_fullest_documents_pass() -> None:
    metadata = {str(number): "x" for number in range(MAX_METADATA)}
    groups = [str(number) for number in range(MAX_GROUPS)]
    check_counts(body(3, metadata=metadata, groups=groups, title="t", format="text"), 3)


@pytest.mark.parametrize("filler", [b"0,", b"[],", b'"",', b"{},", b"[", b"{"])
def test_a_body_of_nothing_but_values_is_refused(filler: bytes) -> None:
    with pytest.raises(BadInput, match="LIBRARIAN_MAX_UPLOAD_DOCUMENTS"):
        check_counts(b'{"documents":[{"id":"a","text":"b","groups":[' + filler * 10_000, 10)


@pytest.mark.parametrize("unending", [b'"', b'\\"', b'"\\', b"\\"])
def test_a_broken_body_is_looked_at_once_however_it_is_broken(unending: bytes) -> None:
    check_counts(b'"' + unending * 4_000_000, 10)  # looked at again from each quote, it would take days


@given(st.text())
def test_what_stands_in_a_text_is_not_counted(text: str) -> None:
    check_counts(json.dumps({"documents": [{"id": "a", "text": text * 50}]}).encode(), 1)
