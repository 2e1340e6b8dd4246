"""How much a JSON body of documents holds, told from its bytes before it is parsed: 32 MiB of `{},{},…` would take
gigabytes as objects."""

from __future__ import annotations

import re

from rag.errors import BadInput
from serve.document_shapes import MAX_GROUPS, MAX_METADATA

# Separators of the fullest document: its own braces and fields, its metadata and its groups.
VALUES_OF_A_DOCUMENT = MAX_METADATA + MAX_GROUPS + 8
# The brace that opens a document stands inside the body's own and inside the list's.
_DOCUMENT_DEPTH = 3
# Strings are passed over whole, one without an end to the end of the body: possessive, so time is linear in it.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[,{}\[\]]', re.DOTALL)


def check_counts(body: bytes, max_documents: int) -> None:
    """Look at a body's structure; it need not be valid JSON. Stops at the first document too many.

    Raises BadInput where it has more than `max_documents`, or more values than so many documents can have.
    """
    most = VALUES_OF_A_DOCUMENT * (max_documents + 1)
    depth = documents = values = 0
    for found in _TOKEN.finditer(body):
        token = body[found.start()]
        if token == ord('"'):
            continue
        if token in b"}]":
            depth -= 1
            continue
        values += 1
        if token in b"{[":
            depth += 1
            documents += token == ord("{") and depth == _DOCUMENT_DEPTH
        if documents > max_documents:
            raise BadInput(f"more than {max_documents} documents (LIBRARIAN_MAX_UPLOAD_DOCUMENTS): send them in parts.")
        if values > most:
            raise BadInput(
                f"the body holds more values than {max_documents} documents can have "
                "(LIBRARIAN_MAX_UPLOAD_DOCUMENTS): send fewer, or send files (multipart/form-data)."
            )
