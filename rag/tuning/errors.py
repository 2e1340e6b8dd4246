"""What can go wrong in tuning that is no other package's to say."""

from __future__ import annotations

from rag.errors import BadInput, LibrarianError


class ExtraMissing(LibrarianError):
    """The libraries that train are not installed."""

    code = "tuning_not_installed"
    exit_code = 2


class ArtefactNotFound(LibrarianError):
    """There is no artefact of that name."""

    code = "artefact_not_found"
    exit_code = 4
    http_status = 404


class ArtefactExists(LibrarianError):
    """There is an artefact of that name already."""

    code = "artefact_exists"
    exit_code = 4
    http_status = 409


class ArtefactRefused(LibrarianError):
    """An artefact is corrupt, cut short, pickled, or not what its card says."""

    code = "artefact_refused"
    exit_code = 9


class BadPairs(BadInput):
    """Training pairs are missing or malformed."""

    code = "bad_pairs"
