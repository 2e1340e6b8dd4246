"""The nouns that flow through Librarian. All are immutable; none knows where it is stored or served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DEFAULT_TENANT = "default"

# How a document's text is cut: along Markdown's structure, a text's paragraphs, or a program's definitions and lines.
Format = Literal["markdown", "text", "code"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose data a call may touch. Every read and write of the index takes one.

    A passage is visible when its tenant equals `tenant` and it is either public within the tenant (it has no
    groups) or shares a group with `groups`. `groups=None` means every group of the tenant: what a job that
    owns the tenant's data uses (see `owner`), never what a reader is given.
    """

    tenant: str = DEFAULT_TENANT
    groups: frozenset[str] | None = frozenset()

    @classmethod
    def owner(cls, tenant: str = DEFAULT_TENANT) -> Scope:
        """The scope of a job that maintains all of a tenant's documents."""
        return cls(tenant=tenant, groups=None)


@dataclass(frozen=True, slots=True)
class Document:
    """One source document as text.

    `uri` identifies it for ever, `path` is what people are shown, `text` is normalised (Markdown where the
    format has structure) and every chunk's span counts characters of it. `content_hash` covers everything
    that, when changed, must replace the document's chunks. `pages[i]` is the character at which page i + 1 starts
    (empty: the format has no pages).
    """

    uri: str
    path: str
    title: str
    text: str
    content_hash: str
    format: Format = "markdown"
    groups: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    pages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document: `text == document.text[start:end]`, never longer than the encoder reads.

    `page` is the page, from 1, on which it starts, where the format has pages.
    """

    ordinal: int
    text: str
    start: int
    end: int
    heading_path: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Token ids and their weights, of equal length. The inverse document frequency is the index's part."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that retrieval found, with where it is from and why it was ranked there.

    `score` orders the list (fused, unit-free); `dense_score` is a cosine in [-1, 1] and `sparse_score` a BM25
    sum, each None where that leg did not return the passage.
    """

    id: str
    text: str
    score: float
    uri: str
    path: str
    title: str
    heading_path: tuple[str, ...]
    ordinal: int
    start: int
    end: int
    dense_score: float | None = None
    sparse_score: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for an answer: the highest cosine, and the largest share of the query's terms in one passage."""

    cosine: float
    coverage: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Ranked passages and the probability that they answer the query (see `rag.relevance`); None: there are none."""

    query: str
    collection: str
    passages: tuple[Passage, ...]
    relevance: float | None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    evidence: Evidence | None = None


Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something that did not go to the model, and why: reported, never silent."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Context:
    """The numbered passages given to the model: passage k stands as [k + 1]. `messages` is the whole prompt."""

    messages: tuple[Message, ...]
    passages: tuple[Passage, ...]
    prompt_tokens: int
    max_answer_tokens: int
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """A marker `[number]` at `start:end` of the answer, naming a passage that was really supplied.

    `origin` is "model" where the model wrote the marker, "matched" where the service placed it because the
    sentence's words stand in the passage.
    """

    number: int
    passage_id: str
    start: int
    end: int
    origin: Literal["model", "matched"] = "model"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one generation, as the engine counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


# "unavailable": the model failed, and the sources were asked for without an answer
FinishReason = Literal["stop", "length", "abstained", "unavailable"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question came to. `sources` is what the model was given, cited or not.

    `searched` is the query that was really searched: `question`, or what a follow-up was rewritten to.
    """

    question: str
    text: str
    sources: tuple[Passage, ...]
    citations: tuple[Citation, ...]
    finish_reason: FinishReason
    usage: Usage = Usage()
    dropped: tuple[Dropped, ...] = ()
    relevance: float | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    searched: str = ""
