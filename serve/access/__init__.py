"""Who may call, what they may do, and how many at once."""

from serve.access.allowance import Allowances
from serve.access.caller import Caller
from serve.access.callers import KeyCache, identify
from serve.access.dependencies import (
    SCOPE_HEADER,
    admin,
    feedback_reader,
    holder,
    job_reader,
    job_writer,
    key_keeper,
    reader,
    scope_header,
    writer,
)
from serve.access.exposure import check_exposure, local_names
from serve.access.tokens import token_reader
from serve.access.turnstile import Turnstile, account_of, admitted

__all__ = [
    "SCOPE_HEADER",
    "Allowances",
    "Caller",
    "KeyCache",
    "Turnstile",
    "account_of",
    "admin",
    "admitted",
    "check_exposure",
    "feedback_reader",
    "holder",
    "identify",
    "job_reader",
    "job_writer",
    "key_keeper",
    "local_names",
    "reader",
    "scope_header",
    "token_reader",
    "writer",
]
