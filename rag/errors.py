"""Typed errors. Raised where the fact is known; turned into HTTP statuses and exit codes only at the edge."""

from __future__ import annotations

from collections.abc import Sequence


class LibrarianError(Exception):
    """Base of every error that is shown to people: one line that says what was wrong and what to do.

    `code` is the machine-readable name (also the `code` of the API's error body), `exit_code` the process's
    status and `http_status` the response's.
    """

    code = "error"
    exit_code = 1
    http_status = 500
    retry_after: float | None = None  # seconds after which it makes sense to ask again, where that is known
    param: str | None = None  # the field of the request that was wrong, where it is one

    @property
    def public(self) -> str:
        """What a service's callers may read of it: less than all of it, where that tells what belongs to others."""
        return str(self)


class SettingsError(LibrarianError):
    """A setting is unknown or its value cannot be used."""

    code = "invalid_setting"
    exit_code = 2


class BadInput(LibrarianError):
    """The caller gave something that cannot be worked on."""

    code = "invalid_request"
    exit_code = 2
    http_status = 400


class SourceError(BadInput):
    """A source to ingest is missing, empty, unreadable or not a document."""

    code = "bad_source"


class PromptTooLong(BadInput):
    """The question alone does not fit the model's context window."""

    code = "prompt_too_long"


class CollectionNotFound(LibrarianError):
    """No collection or alias of that name. The message may name others that there are; `asked` is the name."""

    code = "collection_not_found"
    exit_code = 4
    http_status = 404

    def __init__(self, message: str, asked: str | None = None) -> None:
        super().__init__(message)
        self.asked = asked

    @property
    def public(self) -> str:
        """Without the names of other collections."""
        if self.asked is None:
            return str(self)
        return (
            f"there is no collection '{self.asked}' in which you may see anything (GET /v1/collections); "
            "`librarian ingest FOLDER` makes one."
        )


class CollectionExists(LibrarianError):
    """A collection or alias of that name is already there."""

    code = "collection_exists"
    exit_code = 4
    http_status = 409


class Cancelled(LibrarianError):
    """A job was asked to stop, and did."""

    code = "cancelled"
    exit_code = 130
    http_status = 409


class TooManyFailures(LibrarianError):
    """More documents failed than the job allows. `failures` are the first of them."""

    code = "too_many_failures"
    exit_code = 3
    http_status = 422

    def __init__(self, message: str, failures: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.failures = failures


class FingerprintMismatch(LibrarianError):
    """The collection was built with another encoder or chunker than the one configured."""

    code = "fingerprint_mismatch"
    exit_code = 5
    http_status = 409


class IndexLocked(LibrarianError):
    """Another process holds the embedded index's folder."""

    code = "index_locked"
    exit_code = 6
    http_status = 503


class IndexUnavailable(LibrarianError):
    """Qdrant cannot be reached, refused the key, or its folder cannot be used."""

    code = "index_unavailable"
    exit_code = 7
    http_status = 503


class ModelUnavailable(LibrarianError):
    """The chat model's server cannot be reached, timed out or answered nonsense."""

    code = "model_unavailable"
    exit_code = 8
    http_status = 503


class ModelDown(ModelUnavailable):
    """The chat model's server is gone, too slow or broken. `again`: the same request may fare better in a moment."""

    def __init__(self, message: str, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class EncoderError(LibrarianError):
    """The embedding model cannot be loaded or used."""

    code = "encoder_unavailable"
    exit_code = 9
    http_status = 503


class RerankerError(EncoderError):
    """The reranker cannot be loaded or used."""

    code = "reranker_unavailable"


class EngineError(LibrarianError):
    """The local engine could not be started or died."""

    code = "engine_failed"
    exit_code = 10
    http_status = 503
