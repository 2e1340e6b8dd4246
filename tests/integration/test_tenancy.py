"""Whoever asks, by whatever route and with whatever filter, sees nothing of another tenant or group.

1,000 mixes; LIBRARIAN_TEST_TENANCY_MIXES=10000 tries more. Requests go to the application in this process.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ingest.service import Service
from rag.answering import Librarian
from rag.collections import fingerprint
from rag.encoders import Bm25Encoder
from rag.feedback import Feedback, FeedbackStore, GivenPassage
from rag.generation import ChatModel
from rag.index import CollectionSpec, Record
from rag.index.embedded import EmbeddedIndex
from rag.index.threaded import ThreadedIndex
from rag.jobs import JobStore
from rag.keys import KeyStore
from rag.payload import to_payload
from rag.point_ids import point_id
from rag.records import RESERVED, Records
from rag.retrieval import Retriever
from rag.schema import Chunk, Document, Scope
from rag.settings import Settings
from serve.app import create_app
from tests.fake_model import FakeModel
from tests.integration.api_routes.routes import HashEncoder
from tests.token_kit import AUDIENCE, claims, pem, private_key, signed

MIXES = int(os.environ.get("LIBRARIAN_TEST_TENANCY_MIXES", "1000"))
TENANTS = ("acme", "rival", "default")
GROUPS = ("sre", "dev", "law")
OWNED = [(tenant, groups) for tenant in TENANTS for groups in ((), ("sre",), ("dev",), ("sre", "law"))]
WORDS = ("pods", "quota", "probe", "secret", "nodes")
ISSUER = "https://idp.example.org"
ROUTES = {  # what is asked, and how often in a hundred
    "search": 37,
    "chat": 10,
    "context": 10,
    "tool search": 10,
    "tool answer": 5,
    "documents": 7,
    "text": 5,
    "model": 3,
    "feedback": 2,
    "jobs": 4,
    "job": 4,
    "end a job": 3,
}


@dataclass(frozen=True, slots=True)
class Owned:
    """A document's owner, readable from a mark in its text, its title and its URI."""

    tenant: str
    groups: tuple[str, ...]

    @property
    def mark(self) -> str:
        return f"mark-{self.tenant}-{'-'.join(self.groups) or 'all'}-end"

    def seen_by(self, scope: Scope) -> bool:
        return self.tenant == scope.tenant and (not self.groups or bool(set(self.groups) & (scope.groups or set())))


EVERY = [Owned(*each) for each in OWNED]


def rated(owned: Owned, chunk: str) -> Feedback:
    """What a reader of exactly these groups said of an answer."""
    passages = (GivenPassage(chunk, f"upload:{owned.mark}", True),)
    return Feedback(
        id="",
        answer_id="a",
        rating="up",
        comment=owned.mark,
        question=owned.mark,
        searched=owned.mark,
        answer=owned.mark,
        collection="documents",
        passages=passages,
        verified=True,
        caller=owned.mark,
        groups=owned.groups,
        created=0.0,
    )


class World:
    """The application over a filled index, and a key and a token of an issuer for every kind of caller."""

    def __init__(self, folder: Path, model_url: str) -> None:
        dense, sparse = HashEncoder(), Bm25Encoder()
        self.index = EmbeddedIndex(folder / "index")
        signs = private_key("ES256")
        (folder / "keys.pem").write_text(pem(signs))
        self.settings = Settings(
            data_dir=folder,
            llm_url=model_url,
            known_callers_only=True,
            min_relevance=0,
            jwt_issuer=ISSUER,
            jwt_audience=(AUDIENCE,),
            jwt_jwks_file=folder / "keys.pem",
        )
        self.index.create("documents-1a2b3c4d", CollectionSpec(dense.dimension, fingerprint(dense, sparse)))
        self.index.set_alias("documents", "documents-1a2b3c4d")
        feedback = FeedbackStore(Records(self.index), 1)
        for owned in EVERY:
            scope = Scope.owner(owned.tenant)
            chunks = []
            for copy, word in enumerate(WORDS):
                text = f"{owned.mark} {word} run on the nodes."
                uri = f"upload:{owned.mark}-{copy}"
                metadata = {"tenant": owned.tenant, "team": word}
                document = Document(uri, uri, owned.mark, text, "hash", groups=owned.groups, metadata=metadata)
                payload = to_payload(document, Chunk(0, text, 0, len(text)), 1)
                identity = point_id(document, 0, "test", scope)
                chunks.append(identity)
                vector = dense.encode_query(text).tolist()
                self.index.upsert("documents", [Record(identity, vector, sparse.encode_document(text), payload)], scope)
            jobs = JobStore(Records(self.index), owned.tenant)
            job = jobs.create("upload", "documents", owned.groups, [owned.mark])
            jobs.finish(job.id, "done", report={"told": owned.mark})
            feedback.put(
                rated(owned, chunks[0]),
                owned.tenant,
            )
        store = KeyStore(Records(self.index))
        self.callers = []
        for tenant in (*TENANTS, "nobody"):
            for groups in ((), ("sre",), ("dev", "law"), GROUPS):
                scope = Scope(tenant, frozenset(groups))
                self.callers.append((scope, store.create("caller", scope, ["admin"])[1]))
                said = claims(ISSUER, tenant=tenant, groups=[*groups], scope="librarian:admin")
                self.callers.append((scope, signed(said, signs, "ES256")))
        self.jobs = [
            each.id for tenant in TENANTS for each in JobStore(Records(self.index), tenant).latest(Scope.owner(tenant))
        ]
        self.model = ChatModel(self.settings)
        retriever = Retriever(ThreadedIndex(self.index), dense, sparse, self.settings)
        self.service = Service(self.settings, self.index, dense, sparse)
        self.app = create_app(self.settings, Librarian(retriever, self.model, self.settings), self.service)

    def close(self) -> None:
        self.service.close()
        self.index.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with FakeModel() as model:
        made = World(tmp_path_factory.mktemp("tenancy"), model.url)
        yield made
        made.close()


def some_filter(chance: random.Random, depth: int = 0) -> Any:
    """A filter: sensible, hostile or nonsense."""
    field = chance.choice(
        ["metadata.tenant", "tenant", "groups", "team", "metadata.team", "part", "uri", "title", "id", "data.digest"]
    )
    value = chance.choice([*TENANTS, *GROUPS, *WORDS, "", "*", None, True, 0, [], ["acme", "rival"]])
    operator = chance.choice(["eq", "ne", "in", "nin", "exists", "gt", "lte", "prefix", "should", "must_not"])
    simple = [{field: value}, {field: {operator: value}}, {"field": field, "op": operator, "value": value}]
    if depth > 2 or chance.random() < 0.5:
        return chance.choice(simple)
    inner = [some_filter(chance, depth + 1) for _ in range(chance.randint(1, 3))]
    return chance.choice(
        [
            {"or": inner},
            {"and": inner},
            {"not": inner[0]},
            {"any": inner},
            {"must_not": inner},
            {"not": {"not": inner[0]}},
        ]
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; `query` is what an answer may echo."""

    method: str
    path: str
    body: Any = None
    query: str = ""


def some_request(chance: random.Random, world: World) -> Asked:
    """One of the routes that tell of documents, and what is asked of it."""
    route = chance.choices(list(ROUTES), list(ROUTES.values()))[0]
    query = " ".join(chance.sample([*WORDS, *(each.mark for each in EVERY)], 3))
    body: dict[str, Any] = {"top_k": chance.choice([1, 10, 100])}
    if chance.random() < 0.1:
        body["collection"] = chance.choice(["documents-1a2b3c4d", RESERVED, "../documents"])
    if route.startswith("tool"):
        name, word = ("search", "query") if route == "tool search" else ("answer", "question")
        call = {"name": name, "arguments": {word: query, **body}}
        return Asked("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}, query)
    if chance.random() < 0.6:
        body["filter"] = some_filter(chance)
    turns = {"messages": [{"role": "user", "content": query}]}
    if route == "search":
        return Asked("POST", "/v1/search", {"query": query, **body}, query)
    if route == "chat":
        how = {"model": "librarian", "stream": chance.random() < 0.5}
        return Asked("POST", "/v1/chat/completions", {**turns, **how, **body}, query)
    if route == "context":
        return Asked("POST", "/v1/context", {**chance.choice([turns, {"query": query}]), **body}, query)
    collection = body.get("collection", "documents")
    if route == "documents":
        return Asked("GET", f"/v1/documents?limit=1000&prefix=upload:&collection={collection}")
    if route == "text":
        uri = f"upload:{chance.choice(EVERY).mark}-{chance.randrange(len(WORDS))}"
        return Asked("GET", f"/v1/documents/text?uri={uri}&collection={collection}", query=uri)
    if route == "model":
        return Asked("GET", f"/v1/models/librarian/{collection}")
    if route == "feedback":
        return Asked("GET", f"/v1/feedback?limit=1000&include_text={chance.choice(['true', 'false'])}")
    path = "/v1/jobs?limit=100" if route == "jobs" else f"/v1/jobs/{chance.choice(world.jobs)}"
    return Asked("DELETE" if route == "end a job" else "GET", path)


@pytest.mark.timeout(300 + MIXES // 10)
def test_no_mix_of_caller_filter_and_route_tells_of_anothers_documents(world: World) -> None:
    async def mixes() -> tuple[Counter[str], Counter[str]]:
        chance, told, succeeded = random.Random(20), Counter[str](), Counter[str]()
        transport = httpx2.ASGITransport(app=world.app)
        accepts = {"Accept": "application/json, text/event-stream"}  # without which MCP answers nothing
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=accepts) as http:
            for _ in range(MIXES):
                scope, token = chance.choice(world.callers)
                asked = some_request(chance, world)
                key = {"Authorization": f"Bearer {token}"}
                response = await http.request(asked.method, asked.path, json=asked.body, headers=key)
                assert response.status_code < 500, (asked, response.text)
                route = asked.path.partition("?")[0]
                succeeded[route] += response.is_success
                said = response.text.replace(asked.query, "") if asked.query else response.text
                if route == "/v1/models/librarian/documents":
                    assert response.status_code == (200 if any(each.seen_by(scope) for each in EVERY) else 404)
                for owned in EVERY:
                    shown = owned.mark in said
                    assert not shown or owned.seen_by(scope), (scope, asked, said[:2000])
                    told[route] += shown
        await world.model.aclose()
        return told, succeeded

    told, succeeded = asyncio.run(mixes())
    assert told.total() > MIXES / 10, "most mixes found nothing: they try nothing"
    assert succeeded.total() > MIXES / 3
    for route in ("search", "chat/completions", "context", "documents", "documents/text", "feedback"):
        assert told[f"/v1/{route}"] > 0, f"{route} told nobody anything: it is not tried"
    assert told["/mcp"] > 0


def test_nobody_deletes_what_belongs_to_others(world: World) -> None:
    async def tries() -> None:
        transport = httpx2.ASGITransport(app=world.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            for scope, token in world.callers:
                uris = [
                    f"upload:{each.mark}-{copy}"
                    for each in EVERY
                    if not each.seen_by(scope)
                    for copy in range(len(WORDS))
                ]
                headers = {"Authorization": f"Bearer {token}"}
                response = await http.request("DELETE", "/v1/documents", json={"uris": uris}, headers=headers)
                assert response.json()["deleted"] == 0, (scope, response.text)

    asyncio.run(tries())
    for tenant in TENANTS:
        assert world.index.count("documents", Scope.owner(tenant)) == 4 * len(WORDS)
