"""The tools `search` and `answer` of the Model Context Protocol, over whatever answers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Protocol

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from rag.errors import LibrarianError
from serve.answer_shapes import CitationBody, ContextPassage
from serve.search_shapes import SearchResponse
from serve.shapes import Name

INSTRUCTIONS = (
    "Librarian holds documents. `search` finds passages in them; `answer` answers a question from them with numbered "
    "citations, or abstains where they do not hold the answer."
)
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)

Words = Annotated[str, Field(min_length=1, max_length=20_000)]
Among = Annotated[Name | None, Field(description="collection or alias; default: the service's")]
Count = Annotated[int | None, Field(ge=1, le=100, description="passages; default: the service's")]


class AnswerResult(BaseModel):
    """An answer; [n] in it cites the passage of that number in `context`."""

    answer: str
    abstained: bool = Field(description="the documents do not hold the answer; no model was asked")
    citations: list[CitationBody]
    context: list[ContextPassage]


class Desk(Protocol):
    """Who answers the tools. Raises LibrarianError or TimeoutError."""

    async def search(self, query: str, collection: str | None, top_k: int | None) -> SearchResponse:
        """The passages that match best."""
        ...

    async def answer(self, question: str, collection: str | None, top_k: int | None) -> AnswerResult:
        """A whole answer."""
        ...


def make_server(desk: Callable[[], Desk], version: str) -> MCPServer[Any]:
    """A server with both tools; `desk` gives, at each call, who answers the caller."""
    server: MCPServer[Any] = MCPServer("librarian", version=version, instructions=INSTRUCTIONS, log_level="WARNING")

    @server.tool(annotations=READS)
    async def search(query: Words, collection: Among = None, top_k: Count = None) -> SearchResponse:
        """Find the passages of the documents that best match a query. No chat model is asked."""
        try:
            return await desk().search(query, collection, top_k)
        except (LibrarianError, TimeoutError) as error:
            raise told(error) from error

    @server.tool(annotations=READS)
    async def answer(question: Words, collection: Among = None, top_k: Count = None) -> AnswerResult:
        """Answer a question from the documents, with numbered citations."""
        try:
            return await desk().answer(question, collection, top_k)
        except (LibrarianError, TimeoutError) as error:
            raise told(error) from error

    return server


def told(error: Exception) -> ToolError:
    """What the caller's model reads of an error."""
    if isinstance(error, LibrarianError):
        return ToolError(f"{error.code}: {error.public}")
    return ToolError("timeout: it took longer than LIBRARIAN_REQUEST_TIMEOUT allows.")
