"""The bodies of /v1/feedback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from rag.feedback import Feedback, Rating
from serve.given_answers import MAX_ANSWER, MAX_QUESTION
from serve.shapes import Name, Strict

MAX_COMMENT = 2_000
MAX_PASSAGES = 100

AnswerId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$")]


class RatedPassage(Strict):
    """A passage that the answer was given: `id` as in its `context`."""

    id: UUID
    cited: bool = Field(False, description="whether the answer cites it")


class FeedbackIn(Strict):
    """What you say of an answer. Said again of the same answer, it replaces what you said before."""

    answer_id: AnswerId = Field(description="the `id` of the answer")
    rating: Rating
    comment: str | None = Field(None, max_length=MAX_COMMENT)
    question: str | None = Field(
        None, min_length=1, max_length=MAX_QUESTION, description="needed where the service does not know the answer"
    )
    answer: str | None = Field(None, max_length=MAX_ANSWER, description="its text")
    collection: Name | None = Field(None, description="what was asked; default: the service's")
    passages: list[RatedPassage] = Field(
        [], max_length=MAX_PASSAGES, description="what it was given; those that you cannot read are left out"
    )


class FeedbackBody(BaseModel):
    """What was noted."""

    id: str
    object: Literal["feedback"] = "feedback"
    answer_id: str
    rating: Rating
    comment: str
    verified: bool = Field(
        description="the service knew the answer itself; else question, answer and passages are what you sent"
    )
    created: float = Field(description="Unix seconds")


class FeedbackPassage(BaseModel):
    """A passage that the answer was given: its chunk, its document, and the chunk's text where that was asked for."""

    id: str
    document: str = Field(description="the document's URI")
    cited: bool
    text: str | None = Field(description="null: not asked for, no longer indexed, or not yours to read")


class FeedbackRecord(FeedbackBody):
    """A rating with all that is known of its answer."""

    question: str
    searched: str = Field(description="the query that was searched: the question, or what a follow-up became")
    answer: str
    collection: str
    passages: list[FeedbackPassage]
    caller: str = Field(description="the id of the key that it was sent with")
    groups: list[str] = Field(description="the caller's: shown to those only who have them all")


class FeedbackPage(BaseModel):
    """Ratings, newest first. `next_cursor`, where there are more, is the `cursor` of the next request."""

    object: Literal["list"] = "list"
    data: list[FeedbackRecord]
    next_cursor: str | None


def feedback_body(said: Feedback) -> FeedbackBody:
    """What was noted, as a body."""
    return FeedbackBody(
        id=said.id,
        answer_id=said.answer_id,
        rating=said.rating,
        comment=said.comment,
        verified=said.verified,
        created=said.created,
    )


def feedback_records(said: Sequence[Feedback]) -> list[FeedbackRecord]:
    """Ratings as bodies."""
    return [
        FeedbackRecord(
            **feedback_body(each).model_dump(),
            question=each.question,
            searched=each.searched,
            answer=each.answer,
            collection=each.collection,
            passages=[
                FeedbackPassage(id=given.id, document=given.document, cited=given.cited, text=given.text)
                for given in each.passages
            ],
            caller=each.caller,
            groups=list(each.groups),
        )
        for each in said
    ]
