"""What can go wrong in an evaluation that is no other package's to say."""

from __future__ import annotations

from rag.errors import BadInput, LibrarianError


class DatasetError(BadInput):
    """A dataset is missing, malformed, or does not hold what its judgements name."""

    code = "bad_dataset"


class IndexingFailed(LibrarianError):
    """The documents of a dataset could not be ingested. It exits as the ingestion would have done."""

    code = "indexing_failed"


class GateFailed(LibrarianError):
    """An evaluation does not meet its conditions."""

    code = "gate_failed"
    exit_code = 12


class NothingPromoted(LibrarianError):
    """There is no promotion to undo."""

    code = "nothing_promoted"
    exit_code = 4
