"""POST /v1/chat/completions as OpenAI's SDK, LangChain and plain HTTP clients see it.

The API and the chat model's stand-in run for real, on sockets; the retriever finds the same passages for everything.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from rag.prompt import ABSTENTION, SYSTEM
from tests.conftest import make_passage
from tests.fake_model import FakeModel
from tests.integration.api_server import PASSAGES, QUESTION, ApiServer, FixedRetriever, ask

PIECES = (
    "Kubernetes runs ",
    "containers [",
    "1]. A readiness ",
    "probe keeps traffic away [2]. ",
    "Quota [7] is free.",
)
TEXT = "Kubernetes runs containers [1]. A readiness probe keeps traffic away [2]. Quota  is free."
DEFAULTS = FakeModel()
UNCOUNTED = {"tokenize": 404}  # as most servers: the service counts bytes itself, which saves these tests many calls


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[ApiServer, FakeModel]]:
    with FakeModel(fail={**UNCOUNTED}) as model, ApiServer(FixedRetriever(), llm_url=model.url) as api:
        yield api, model


UNRELATED = [{"role": "user", "content": "How are quarterly tariffs negotiated?"}]


@pytest.fixture
def model(running: tuple[ApiServer, FakeModel]) -> FakeModel:
    """The chat model, saying PIECES unless a test has it say something else."""
    _, model = running
    for name in ("delay", "finish_reason", "usage", "dies_after", "hangs_after", "garbage_after"):
        setattr(model, name, getattr(DEFAULTS, name))
    model.pieces, model.fail, model.requests = PIECES, {**UNCOUNTED}, []
    return model


@pytest.fixture
def retriever(running: tuple[ApiServer, FakeModel]) -> FixedRetriever:
    found: FixedRetriever = running[0].retriever
    found.passages, found.relevance, found.asked = PASSAGES, 0.8, []
    return found


@pytest.fixture
def api(running: tuple[ApiServer, FakeModel], model: FakeModel, retriever: FixedRetriever) -> ApiServer:
    return running[0]


@pytest.fixture
def http(api: ApiServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=api.v1, trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture
def sdk(api: ApiServer) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, set up the way its documentation says."""
    with openai.OpenAI(base_url=api.v1, api_key="any", max_retries=0, timeout=20) as client:
        yield client


def chat(http: httpx2.Client, **fields: Any) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    response = http.post("/chat/completions", json=ask(**fields))
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def stream(http: httpx2.Client, **fields: Any) -> list[Any]:
    """The events of a streamed answer, "[DONE]" as it is."""
    with http.stream("POST", "/chat/completions", json=ask(stream=True, **fields)) as response:
        assert response.status_code == 200, response.read()
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def refusal(http: httpx2.Client, status: int = 400, **fields: Any) -> dict[str, Any]:
    """The error of a request that is refused."""
    response = http.post("/chat/completions", json={**ask(), **fields})
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    return error


class TestOneAnswer:
    def test_it_is_openais_chat_completion(self, http: httpx2.Client) -> None:
        body = chat(http)
        assert body["id"].startswith("chatcmpl-")
        assert body["object"] == "chat.completion"
        assert body["model"] == "librarian"
        assert body["created"] > 1_700_000_000
        [choice] = body["choices"]
        assert (choice["index"], choice["finish_reason"]) == (0, "stop")
        assert (choice["message"]["role"], choice["message"]["content"]) == ("assistant", TEXT)
        assert body["usage"] == {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}

    def test_every_answer_has_an_id_of_its_own(self, http: httpx2.Client) -> None:
        assert chat(http)["id"] != chat(http)["id"]

    def test_annotations_point_at_their_markers_and_name_the_sources(self, http: httpx2.Client) -> None:
        message = chat(http)["choices"][0]["message"]
        notes = [each["url_citation"] for each in message["annotations"]]
        assert [each["type"] for each in message["annotations"]] == ["url_citation"] * 2
        assert [message["content"][each["start_index"] : each["end_index"]] for each in notes] == ["[1]", "[2]"]
        assert [each["url"] for each in notes] == ["file:///docs/1.md", "file:///docs/2.md"]
        assert [each["title"] for each in notes] == ["Document 1", "Document 2"]

    def test_a_source_without_a_title_is_called_by_its_path(self, http: httpx2.Client, model: FakeModel) -> None:
        model.pieces = ["Jobs wait for quota [3]."]
        [note] = chat(http)["choices"][0]["message"]["annotations"]
        assert note["url_citation"]["title"] == "docs/3.md"

    def test_spans_count_characters_not_bytes(self, http: httpx2.Client, model: FakeModel) -> None:
        model.pieces = ["Größer 容器 🙂 [2]."]
        message = chat(http)["choices"][0]["message"]
        [note] = message["annotations"]
        start, end = note["url_citation"]["start_index"], note["url_citation"]["end_index"]
        assert message["content"][start:end] == "[2]"

    def test_context_holds_what_the_model_was_given_and_says_what_was_cited(self, http: httpx2.Client) -> None:
        context = chat(http)["context"]
        assert [(each["number"], each["source"], each["cited"]) for each in context] == [
            (1, "docs/1.md", True),
            (2, "docs/2.md", True),
            (3, "docs/3.md", False),
        ]
        assert [each["text"] for each in context] == [each.text for each in PASSAGES]
        assert context[0]["heading_path"] == ["Overview"]
        assert context[1]["metadata"] == {"lang": "en"}

    def test_citations_say_where_and_by_whom(self, http: httpx2.Client, model: FakeModel) -> None:
        model.pieces = ["Kueue admits jobs when there is quota. Pods run [1]."]
        body = chat(http)
        content = body["choices"][0]["message"]["content"]
        marks = [(each["number"], content[each["start"] : each["end"]], each["origin"]) for each in body["citations"]]
        assert marks == [(3, "[3]", "matched"), (1, "[1]", "model")]

    def test_a_marker_of_a_passage_that_was_not_supplied_is_not_shown(self, http: httpx2.Client) -> None:
        assert "[7]" not in chat(http)["choices"][0]["message"]["content"]

    def test_an_answer_that_hit_the_limit_says_length(self, http: httpx2.Client, model: FakeModel) -> None:
        model.finish_reason = "length"
        assert chat(http)["choices"][0]["finish_reason"] == "length"

    def test_nothing_relevant_is_an_abstention_without_the_model(
        self, http: httpx2.Client, model: FakeModel, retriever: FixedRetriever
    ) -> None:
        retriever.relevance = 0.1
        body = chat(http, messages=UNRELATED)
        assert body["abstained"] is True
        assert body["choices"][0]["message"]["content"] == ABSTENTION
        assert body["choices"][0]["finish_reason"] == "stop"
        assert (body["context"], body["citations"], body["relevance"]) == ([], [], 0.1)
        assert len(body["dropped"]) == len(PASSAGES)
        assert "0.10" in body["dropped"][0]["reason"]
        assert model.chats == []

    def test_an_empty_collection_is_an_abstention_that_says_so(
        self, http: httpx2.Client, retriever: FixedRetriever
    ) -> None:
        retriever.passages, retriever.relevance = (), None
        body = chat(http)
        assert body["abstained"] is True
        assert body["relevance"] is None
        assert [each["what"] for each in body["dropped"]] == ["everything"]

    def test_an_answer_says_that_it_did_not_abstain_and_how_long_it_took(self, http: httpx2.Client) -> None:
        body = chat(http)
        assert body["abstained"] is False
        assert body["dropped"] == []
        assert {"encode", "search", "fetch", "first_token", "total"} <= body["timings_ms"].keys()
        assert all(value >= 0 for value in body["timings_ms"].values())

    def test_passages_that_do_not_fit_are_reported(self, http: httpx2.Client, retriever: FixedRetriever) -> None:
        retriever.passages = (PASSAGES[0], make_passage("word " * 1600, 2), PASSAGES[2])
        body = chat(http)
        assert [each["source"] for each in body["context"]] == ["docs/1.md"]
        assert body["dropped"] == [
            {"what": "passage docs/2.md", "reason": "token budget"},
            {"what": "passage docs/3.md", "reason": "token budget"},
        ]


class TestOneStream:
    def test_sources_come_first_then_text_then_citations_then_usage_then_the_end(self, http: httpx2.Client) -> None:
        first, *middle, last, usage, done = stream(http, stream_options={"include_usage": True})
        assert [each["number"] for each in first["context"]] == [1, 2, 3]
        assert {each["cited"] for each in first["context"]} == {None}
        assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert all(each["choices"][0]["delta"].keys() == {"content"} for each in middle)
        assert all(each["choices"][0]["finish_reason"] is None for each in [first, *middle])
        assert [each["number"] for each in last["citations"]] == [1, 2]
        assert last["choices"][0]["finish_reason"] == "stop"
        assert usage["choices"] == []
        assert usage["usage"] == {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
        assert done == "[DONE]"

    def test_its_text_is_that_of_the_answer_that_is_not_streamed(self, http: httpx2.Client) -> None:
        chunks = [each for each in stream(http) if each != "[DONE]"]
        joined = "".join(each["choices"][0]["delta"].get("content", "") for each in chunks)
        assert joined == TEXT
        assert joined == chat(http)["choices"][0]["message"]["content"]

    def test_its_annotations_are_those_of_the_answer_that_is_not_streamed(self, http: httpx2.Client) -> None:
        last = stream(http)[-2]
        body = chat(http)
        assert last["choices"][0]["delta"]["annotations"] == body["choices"][0]["message"]["annotations"]
        assert last["citations"] == body["citations"]

    def test_without_include_usage_no_chunk_speaks_of_usage(self, http: httpx2.Client) -> None:
        assert not any("usage" in each for each in stream(http) if each != "[DONE]")

    def test_all_chunks_share_one_id_and_object(self, http: httpx2.Client) -> None:
        chunks = stream(http)[:-1]
        assert len({each["id"] for each in chunks}) == 1
        assert {each["object"] for each in chunks} == {"chat.completion.chunk"}
        assert {each["model"] for each in chunks} == {"librarian"}

    def test_it_is_an_event_stream_that_no_proxy_should_keep(self, api: ApiServer) -> None:
        response = httpx2.post(f"{api.v1}/chat/completions", json=ask(stream=True), trust_env=False)
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"

    def test_text_arrives_while_the_model_still_writes(self, http: httpx2.Client, model: FakeModel) -> None:
        model.pieces, model.hangs_after = ("Pods run ", "containers."), 1
        with http.stream("POST", "/chat/completions", json=ask(stream=True)) as response:
            for line in response.iter_lines():
                if "Pods run" in line:
                    break
            assert model.streaming == 1  # it has not ended, and its first words are here

    def test_an_abstention_is_streamed_in_the_same_order(self, http: httpx2.Client, retriever: FixedRetriever) -> None:
        retriever.relevance = 0.1
        first, text, last, done = stream(http, messages=UNRELATED)
        assert first["context"] == []
        assert len(first["dropped"]) == len(PASSAGES)
        assert text["choices"][0]["delta"]["content"] == ABSTENTION
        assert last["abstained"] is True
        assert done == "[DONE]"

    @pytest.mark.parametrize("separator", ["\n\n", "\r\n", "\u2028", "\u2029", "\x85", "\x0c"])
    def test_no_character_of_the_answer_breaks_the_events(
        self, http: httpx2.Client, model: FakeModel, separator: str
    ) -> None:
        model.pieces = [f"one{separator}data: [DONE]", f"{separator}two"]
        chunks = stream(http)[:-1]
        joined = "".join(each["choices"][0]["delta"].get("content", "") for each in chunks)
        assert joined == f"one{separator}data: [DONE]{separator}two"

    def test_half_a_surrogate_pair_from_the_model_does_not_break_the_stream(
        self, http: httpx2.Client, model: FakeModel
    ) -> None:
        model.pieces = ["Pods \ud83d", " run."]
        chunks = stream(http)
        assert chunks[-1] == "[DONE]"
        assert not any("error" in each for each in chunks)
        assert chat(http)["choices"][0]["message"]["content"].endswith(" run.")


class TestWhatTheModelIsTold:
    def test_sampling_parameters_arrive(self, http: httpx2.Client, model: FakeModel) -> None:
        wanted = {
            "temperature": 0.7,
            "top_p": 0.9,
            "seed": 7,
            "stop": ["END", "STOP"],
            "presence_penalty": 0.5,
            "frequency_penalty": -0.5,
        }
        chat(http, **wanted)
        assert {name: model.chats[-1][name] for name in wanted} == wanted

    def test_what_is_not_given_is_left_to_the_settings_and_the_server(
        self, http: httpx2.Client, model: FakeModel
    ) -> None:
        chat(http)
        assert model.chats[-1]["temperature"] == 0.0
        assert not {"top_p", "seed", "stop", "presence_penalty"} & model.chats[-1].keys()

    def test_a_stop_may_be_one_text(self, http: httpx2.Client, model: FakeModel) -> None:
        chat(http, stop="END")
        assert model.chats[-1]["stop"] in ("END", ["END"])

    @pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
    def test_the_wanted_length_arrives(self, http: httpx2.Client, model: FakeModel, name: str) -> None:
        chat(http, **{name: 77})
        assert limit_of(model) == 77

    def test_a_length_beyond_the_window_is_reduced_and_reported(self, http: httpx2.Client, model: FakeModel) -> None:
        body = chat(http, max_tokens=1_000_000)
        assert 16 <= limit_of(model) < 4096
        [reduced] = [each for each in body["dropped"] if each["what"] == "answer"]
        assert "1000000" in reduced["reason"]
        assert str(limit_of(model)) in reduced["reason"]

    def test_a_wish_for_a_long_answer_does_not_push_the_passages_out(
        self, http: httpx2.Client, model: FakeModel
    ) -> None:
        body = chat(http, max_tokens=4096)  # the whole window: what many clients send unasked
        assert [each["source"] for each in body["context"]] == ["docs/1.md", "docs/2.md", "docs/3.md"]
        assert PASSAGES[0].text in model.chats[-1]["messages"][-1]["content"]

    def test_the_question_and_the_passages_are_the_last_turn(self, http: httpx2.Client, model: FakeModel) -> None:
        chat(http)
        last = model.chats[-1]["messages"][-1]
        assert last["role"] == "user"
        assert last["content"].endswith(QUESTION)
        assert all(each.text in last["content"] for each in PASSAGES)

    def test_text_parts_are_joined(self, http: httpx2.Client, model: FakeModel, retriever: FixedRetriever) -> None:
        parts = [{"type": "text", "text": "What runs"}, {"type": "text", "text": "containers?"}]
        chat(http, text=parts)  # type: ignore[arg-type]
        assert retriever.asked[-1][0] == "What runs\ncontainers?"
        assert "What runs\ncontainers?" in model.chats[-1]["messages"][-1]["content"]

    @pytest.mark.parametrize("role", ["system", "developer"])
    def test_the_callers_wishes_stand_behind_the_services_own(
        self, http: httpx2.Client, model: FakeModel, role: str
    ) -> None:
        wish = {"role": role, "content": "Answer in one sentence."}
        http.post("/chat/completions", json={"messages": [wish, *ask()["messages"]]}).raise_for_status()
        first, *rest = model.chats[-1]["messages"]
        assert first["role"] == "system"
        assert first["content"].startswith(SYSTEM)
        assert first["content"].endswith("Answer in one sentence.")
        assert [each["role"] for each in rest] == ["user"]

    def test_earlier_turns_go_before_the_question(
        self, http: httpx2.Client, model: FakeModel, retriever: FixedRetriever
    ) -> None:
        turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello to you"}]
        http.post("/chat/completions", json={"messages": [*turns, *ask()["messages"]]}).raise_for_status()
        assert [each["role"] for each in model.chats[-1]["messages"]] == ["system", "user", "assistant", "user"]
        assert model.chats[-1]["messages"][1:3] == turns
        assert retriever.asked[-1][0] == QUESTION

    def test_an_answer_can_be_handed_back_as_a_turn(self, http: httpx2.Client, model: FakeModel) -> None:
        answer = chat(http)["choices"][0]["message"]  # with its annotations, as clients do
        following = {"messages": [*ask()["messages"], answer, {"role": "user", "content": "And pods?"}]}
        http.post("/chat/completions", json=following).raise_for_status()
        assert model.chats[-1]["messages"][-2] == {"role": "assistant", "content": TEXT}


class TestWhichCollection:
    @pytest.mark.parametrize(
        ("fields", "collection"),
        [
            ({}, None),
            ({"model": "librarian/handbook"}, "handbook"),
            ({"collection": "handbook"}, "handbook"),
            ({"model": "librarian/documents", "collection": "handbook"}, "handbook"),
        ],
    )
    def test_model_and_collection_choose_it(
        self, http: httpx2.Client, retriever: FixedRetriever, fields: dict[str, Any], collection: str | None
    ) -> None:
        body = chat(http, **fields)
        assert retriever.asked[-1][2] == collection
        assert body["model"] == fields.get("model", "librarian")

    def test_top_k_reaches_the_retriever(self, http: httpx2.Client, retriever: FixedRetriever) -> None:
        assert len(chat(http, top_k=2)["context"]) == 2
        assert retriever.asked[-1][3] == 2

    @pytest.mark.parametrize("name", ["gpt-4o", "librarian/", "Librarian", "librarians/documents", ""])
    def test_another_model_is_not_found_and_the_right_names_are_told(self, http: httpx2.Client, name: str) -> None:
        error = refusal(http, 404, model=name)
        assert (error["type"], error["code"]) == ("not_found_error", "model_not_found")
        assert "'librarian'" in error["message"]

    @pytest.mark.parametrize("streaming", [False, True])
    def test_an_unknown_collection_is_not_found_even_where_a_stream_was_asked_for(
        self, http: httpx2.Client, streaming: bool
    ) -> None:
        error = refusal(http, 404, model="librarian/nowhere", stream=streaming)
        assert error["code"] == "collection_not_found"
        assert "nowhere" in error["message"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("tools", [{"type": "function", "function": {"name": "f"}}]),
            ("tool_choice", "auto"),
            ("functions", [{"name": "f"}]),
            ("logprobs", True),
            ("logit_bias", {"50256": -100}),
            ("response_format", {"type": "json_object"}),
            ("modalities", ["audio"]),
            ("n", 2),
        ],
    )
    @pytest.mark.parametrize("streaming", [False, True])
    def test_what_cannot_be_honoured_is_refused_by_name(
        self, http: httpx2.Client, model: FakeModel, field: str, value: Any, streaming: bool
    ) -> None:
        error = refusal(http, **{field: value}, stream=streaming)
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "invalid_request", field)
        assert field in error["message"]
        assert model.chats == []

    def test_one_choice_may_be_asked_for_by_number(self, http: httpx2.Client) -> None:
        assert len(chat(http, n=1)["choices"]) == 1

    def test_an_image_is_refused_by_name(self, http: httpx2.Client) -> None:
        image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
        words = {"type": "text", "text": "What is this?"}
        error = refusal(http, messages=[{"role": "user", "content": [words, image]}])
        assert "image_url" in error["message"]
        assert error["param"].startswith("messages.0.content")

    @pytest.mark.parametrize(
        "messages",
        [
            [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
            [{"role": "system", "content": "a"}],
            [{"role": "user", "content": ""}],
            [{"role": "user", "content": " \n\t "}],
            [{"role": "user", "content": []}],
            [{"role": "user", "content": [{"type": "text", "text": " "}]}],
        ],
    )
    def test_without_a_question_at_the_end_there_is_nothing_to_answer(
        self, http: httpx2.Client, messages: list[Any]
    ) -> None:
        assert "last message must be the user's question" in refusal(http, messages=messages)["message"]

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"messages": []}, "messages"),
            ({"messages": [{"role": "user", "content": "a"}] * 201}, "messages"),
            ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.role"),
            ({"messages": [{"role": "user", "content": None}]}, "messages.0.content.text"),
            ({"messages": [{"role": "user"}]}, "messages.0.content"),
            ({"temperature": 2.1}, "temperature"),
            ({"top_p": 0}, "top_p"),
            ({"max_tokens": 0}, "max_tokens"),
            ({"top_k": 101}, "top_k"),
            ({"collection": "../etc"}, "collection"),
            ({"stream_options": {"include_obfuscation": False}}, "stream_options.include_obfuscation"),
        ],
    )
    def test_a_value_out_of_bounds_is_named(self, http: httpx2.Client, fields: dict[str, Any], param: str) -> None:
        error = refusal(http, **fields)
        assert error["param"] == param
        assert param in error["message"]

    def test_a_question_that_no_window_holds_is_refused_before_the_model(
        self, http: httpx2.Client, model: FakeModel
    ) -> None:
        error = refusal(http, messages=[{"role": "user", "content": "why " * 4990}])
        assert error["code"] == "prompt_too_long"
        assert "4096" in error["message"]
        assert model.chats == []

    def test_what_the_model_refuses_is_the_callers_mistake(self, http: httpx2.Client, model: FakeModel) -> None:
        model.fail = {"chat": 400}
        assert model.error_message in refusal(http)["message"]


class TestOpenAIsClient:
    def test_a_completion(self, sdk: openai.OpenAI) -> None:
        answer = sdk.chat.completions.create(model="librarian", messages=ask()["messages"])
        message = answer.choices[0].message
        assert message.content == TEXT
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert answer.usage.total_tokens == 17
        assert message.annotations is not None
        marked = [each.url_citation for each in message.annotations]
        assert [TEXT[each.start_index : each.end_index] for each in marked] == ["[1]", "[2]"]
        assert answer.model_extra is not None
        assert [each["cited"] for each in answer.model_extra["context"]] == [True, True, False]

    def test_a_stream_with_usage(self, sdk: openai.OpenAI) -> None:
        chunks = list(
            sdk.chat.completions.create(
                model="librarian/handbook",
                messages=ask()["messages"],
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        assert chunks[0].choices[0].delta.role == "assistant"
        assert "".join(each.choices[0].delta.content or "" for each in chunks[:-1]) == TEXT
        assert [each.choices[0].finish_reason for each in chunks[:-1] if each.choices[0].finish_reason] == ["stop"]
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.prompt_tokens == 12
        assert all(each.usage is None for each in chunks[:-1])

    def test_its_stream_helper_gathers_the_whole_completion(self, sdk: openai.OpenAI) -> None:
        with sdk.chat.completions.stream(model="librarian", messages=ask()["messages"]) as events:
            whole = events.get_final_completion()
        assert whole.choices[0].message.content == TEXT
        assert whole.choices[0].finish_reason == "stop"

    def test_many_async_streams_at_once_do_not_mix(self, api: ApiServer, model: FakeModel) -> None:
        model.pieces, model.delay = tuple("abcdefgh"), 0.01

        async def one(client: openai.AsyncOpenAI) -> tuple[set[str], str]:
            ids, text = set(), ""
            async for chunk in await client.chat.completions.create(**ask(stream=True)):
                ids.add(chunk.id)
                text += chunk.choices[0].delta.content or ""
            return ids, text

        async def all_of_them() -> list[tuple[set[str], str]]:
            async with openai.AsyncOpenAI(base_url=api.v1, api_key="any", max_retries=0, timeout=20) as client:
                return await asyncio.gather(*(one(client) for _ in range(8)))

        answers = asyncio.run(all_of_them())
        assert {text for _, text in answers} == {"abcdefgh"}
        assert all(len(ids) == 1 for ids, _ in answers)
        assert len(set.union(*(ids for ids, _ in answers))) == 8

    def test_its_exceptions_are_the_right_ones(self, sdk: openai.OpenAI) -> None:
        with pytest.raises(openai.NotFoundError) as missing:
            sdk.chat.completions.create(model="gpt-4o", messages=ask()["messages"])
        assert missing.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError) as bad:
            sdk.chat.completions.create(model="librarian", messages=ask()["messages"], logprobs=True)
        assert bad.value.param == "logprobs"

    def test_a_broken_stream_is_an_exception_not_a_short_answer(self, sdk: openai.OpenAI, model: FakeModel) -> None:
        model.dies_after = 1
        with pytest.raises(openai.APIError, match="broke off"):
            list(sdk.chat.completions.create(**ask(stream=True)))

    def test_it_lists_the_models(self, sdk: openai.OpenAI) -> None:
        assert [each.id for each in sdk.models.list()] == ["librarian", "librarian/documents", "librarian/handbook"]


class TestLangChain:
    def test_invoke_and_stream(self, api: ApiServer) -> None:
        from langchain_openai import ChatOpenAI
        from pydantic import SecretStr

        llm = ChatOpenAI(
            model="librarian", base_url=api.v1, api_key=SecretStr("any"), max_retries=0, timeout=20, stream_usage=True
        )
        answer = llm.invoke(QUESTION)
        assert answer.text == TEXT
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["total_tokens"] == 17
        chunks = list(llm.stream(QUESTION))
        assert "".join(each.text for each in chunks) == TEXT
        assert sum(each.usage_metadata["total_tokens"] for each in chunks if each.usage_metadata) == 17

    def test_a_conversation_with_a_system_message(self, api: ApiServer, model: FakeModel) -> None:
        from langchain_openai import ChatOpenAI
        from pydantic import SecretStr

        llm = ChatOpenAI(model="librarian", base_url=api.v1, api_key=SecretStr("any"), max_retries=0, timeout=20)
        answer = asyncio.run(
            llm.ainvoke([("system", "Be brief."), ("human", "Hi"), ("ai", "Hi!"), ("human", QUESTION)])
        )
        assert answer.text == TEXT
        assert [each["role"] for each in model.chats[-1]["messages"]] == ["system", "user", "assistant", "user"]


def limit_of(model: FakeModel) -> int:
    """How many tokens the model was allowed, under whichever of its two names."""
    asked = model.chats[-1]
    return int(asked.get("max_completion_tokens") or asked["max_tokens"])
