"""The chat model: what is asked of it, what comes through, and an error that helps for each way it can fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from rag.chunks import Delta
from rag.errors import BadInput, LibrarianError, ModelUnavailable
from rag.generation import DEFAULT_WINDOW, ChatModel, ModelFacts, Sampling
from rag.schema import Message, Usage
from rag.settings import Settings
from rag.tokens import ByteTokenCounter, LocalTokenCounter, ServerTokenCounter
from tests.fake_model import Failure, FakeModel

SECRET = "sk-librarian-hunter2"
ASK = [Message("system", "Be brief."), Message("user", "What runs containers?")]

Make = Callable[..., Settings]


@pytest.fixture
def configured(settings: Make, fake_model: FakeModel) -> Make:
    """Settings that point at the stand-in, with a secret key and a short patience."""
    return lambda **values: settings(**{"llm_url": fake_model.url, "llm_api_key": SECRET, "llm_timeout": 20, **values})


def deltas(settings: Settings, sampling: Sampling | None = None, max_tokens: int = 20) -> list[Delta]:
    async def collect() -> list[Delta]:
        model = ChatModel(settings)
        try:
            return [each async for each in model.stream(ASK, max_tokens, sampling or Sampling())]
        finally:
            await model.aclose()

    return asyncio.run(collect())


def facts(settings: Settings, **kwargs: Any) -> ModelFacts:
    async def ask() -> ModelFacts:
        model = ChatModel(settings, **kwargs)
        try:
            return await model.facts()
        finally:
            await model.aclose()

    return asyncio.run(ask())


def failure(settings: Settings, kind: type[LibrarianError] = ModelUnavailable) -> str:
    """The message of the error that streaming raises."""
    with pytest.raises(kind) as caught:
        deltas(settings)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestStreaming:
    def test_the_pieces_come_through_in_order(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.pieces = ["Kuber", "netes ", "– ✓", "\n"]
        assert "".join(each.text for each in deltas(configured())) == "Kubernetes – ✓\n"

    def test_usage_and_finish_reason_come_through(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.usage, fake_model.finish_reason = (31, 7), "length"
        found = deltas(configured())
        assert [each.usage for each in found if each.usage] == [Usage(31, 7)]
        assert [each.finish_reason for each in found if each.finish_reason] == ["length"]

    def test_a_server_that_does_not_count_is_no_error(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.usage = None
        assert [each.usage for each in deltas(configured()) if each.usage] == []

    def test_an_empty_answer_is_an_answer(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.pieces = []
        assert "".join(each.text for each in deltas(configured())) == ""

    def test_a_lone_surrogate_is_replaced(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.pieces = ["a\ud83d", "b"]
        "".join(each.text for each in deltas(configured())).encode()

    def test_the_first_piece_does_not_wait_for_the_last(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.hangs_after = 1

        async def first() -> str:
            model = ChatModel(configured())
            async with aclosing(model.stream(ASK, 20, Sampling())) as stream:
                async for delta in stream:
                    if delta.text:
                        return delta.text
            return ""

        assert asyncio.run(asyncio.wait_for(first(), 15)) == "Kubernetes runs "

    def test_two_streams_do_not_wait_for_each_other(self, configured: Make, fake_model: FakeModel) -> None:
        async def both() -> list[list[Delta]]:
            model = ChatModel(configured())

            async def one() -> list[Delta]:
                return [each async for each in model.stream(ASK, 20, Sampling())]

            await model.facts()
            fake_model.delay = 0.5
            return await asyncio.gather(*(one() for _ in range(8)))

        started = time.monotonic()
        found = asyncio.run(both())
        assert len({"".join(each.text for each in one) for one in found}) == 1
        assert time.monotonic() - started < 8 * 1.0


class TestTheRequest:
    def test_messages_limits_and_model_arrive(self, configured: Make, fake_model: FakeModel) -> None:
        deltas(configured(), Sampling(temperature=0.7), max_tokens=33)
        (sent,) = fake_model.chats
        assert [(each["role"], each["content"]) for each in sent["messages"]] == [
            (each.role, each.content) for each in ASK
        ]
        assert sent["model"] == "fake"
        assert sent["stream"] is True
        assert sent["temperature"] == 0.7
        assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 33

    def test_what_is_extra_goes_to_the_server_as_it_is(self, configured: Make, fake_model: FakeModel) -> None:
        extra = {"seed": 7, "stop": ["\n", "END"], "top_p": 0.5, "top_k": 40, "chat_template_kwargs": {"think": False}}
        deltas(configured(), Sampling(extra=extra))
        assert {name: fake_model.chats[-1].get(name) for name in extra} == extra

    def test_the_settings_temperature_is_used_where_a_request_names_none(
        self, configured: Make, fake_model: FakeModel
    ) -> None:
        deltas(configured(temperature=0.25))
        deltas(configured(temperature=0.25), Sampling(temperature=0.0))
        assert [each["temperature"] for each in fake_model.chats] == [0.25, 0.0]

    def test_the_key_is_sent_with_every_request(self, configured: Make, fake_model: FakeModel) -> None:
        deltas(configured())
        assert {each.headers["authorization"] for each in fake_model.requests} == {f"Bearer {SECRET}"}
        assert {each.path for each in fake_model.requests} == {"/v1/models", "/tokenize", "/v1/chat/completions"}

    def test_a_proxy_is_not_asked_for_this_machine(
        self, configured: Make, fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        assert deltas(configured())


class TestFacts:
    def test_the_first_model_that_is_listed_is_asked(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.models = [{"id": "one", "max_model_len": 2048}, {"id": "two", "max_model_len": 512}]
        found = facts(configured())
        assert (found.name, found.window) == ("one", 2048)

    def test_a_model_that_is_named_is_asked(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.models = [{"id": "one", "max_model_len": 2048}, {"id": "two", "max_model_len": 512}]
        found = facts(configured(llm_model="two"))
        assert (found.name, found.window) == ("two", 512)

    def test_a_window_that_is_set_is_believed_before_the_servers(self, configured: Make) -> None:
        assert facts(configured(llm_context_tokens=1000)).window == 1000

    @pytest.mark.parametrize("said", [None, "big", [4]])
    def test_a_server_that_names_no_window_has_the_default_one(
        self, configured: Make, fake_model: FakeModel, said: Any
    ) -> None:
        fake_model.models = [{"id": "one", "max_model_len": said}]
        assert facts(configured()).window == DEFAULT_WINDOW

    def test_they_are_asked_once_however_many_ask_at_the_same_time(
        self, configured: Make, fake_model: FakeModel
    ) -> None:
        async def ask() -> None:
            model = ChatModel(configured())
            await asyncio.gather(*(model.facts() for _ in range(5)))
            await model.facts()
            await model.aclose()

        asyncio.run(ask())
        assert [each.path for each in fake_model.requests] == ["/v1/models", "/tokenize"]

    def test_a_server_with_tokenize_counts(self, configured: Make) -> None:
        assert isinstance(facts(configured()).counter, ServerTokenCounter)

    @pytest.mark.parametrize("how", [404, 500, "garbage", "drop"])
    def test_without_tokenize_bytes_are_counted(self, configured: Make, fake_model: FakeModel, how: Failure) -> None:
        fake_model.fail["tokenize"] = how
        assert isinstance(facts(configured()).counter, ByteTokenCounter)

    def test_a_tokenizer_that_is_named_counts_and_the_server_is_not_asked(
        self, configured: Make, fake_model: FakeModel
    ) -> None:
        counter = facts(configured(llm_tokenizer="/some/folder")).counter
        assert isinstance(counter, LocalTokenCounter)
        assert "/some/folder" in counter.name
        assert [each.path for each in fake_model.requests] == ["/v1/models"]

    ADAPTED = ({"id": "tiny", "max_model_len": 2048}, {"id": "grounded", "parent": "tiny"})

    def test_the_local_engines_adapter_is_asked_where_it_serves_one(
        self, settings: Make, fake_model: FakeModel
    ) -> None:
        fake_model.models = list(self.ADAPTED)
        local = facts(settings(engine_port=fake_model.port))
        assert (local.name, local.window) == ("grounded", 2048)

    def test_of_another_server_the_first_model_is_asked_whatever_adapters_it_has(
        self, configured: Make, fake_model: FakeModel
    ) -> None:
        fake_model.models = list(self.ADAPTED)
        assert facts(configured()).name == "tiny"
        assert facts(configured(llm_model="grounded")).window == 2048

    def test_an_adapters_tokens_are_counted_by_its_models_tokenizer(
        self, settings: Make, fake_model: FakeModel, tmp_path: Path
    ) -> None:
        fake_model.models = list(self.ADAPTED)
        counter = facts(settings(engine_port=fake_model.port), tokenizer_folder=tmp_path / "tiny").counter
        assert isinstance(counter, LocalTokenCounter)

    def test_so_are_those_of_a_model_with_the_adapter_in_its_weights_but_not_another_models(
        self, settings: Make, fake_model: FakeModel, tmp_path: Path
    ) -> None:
        def counter(root: str) -> object:
            fake_model.models = [{"id": "grounded", "root": root}]
            return facts(settings(engine_port=fake_model.port), tokenizer_folder=tmp_path / "tiny").counter

        assert isinstance(counter("/data/models/tiny-grounded-0123456789ab"), LocalTokenCounter)
        assert not isinstance(counter("/data/models/large-grounded-0123456789ab"), LocalTokenCounter)

    def test_no_model_is_an_error(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.models = []
        assert "lists no model; set LIBRARIAN_LLM_MODEL" in failure(configured())

    def test_models_without_a_name_are_no_models(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.models = [{"object": "model"}]
        assert "lists no model" in failure(configured())

    def test_a_model_that_is_not_served_is_an_error_that_names_those_that_are(
        self, configured: Make, fake_model: FakeModel
    ) -> None:
        message = failure(configured(llm_model="gpt-9"))
        assert "does not serve 'gpt-9' but fake; set LIBRARIAN_LLM_MODEL" in message

    @pytest.mark.parametrize(
        ("how", "cause", "advice"),
        [
            (401, "refused the key", "set LIBRARIAN_LLM_API_KEY"),
            (403, "refused the key", "set LIBRARIAN_LLM_API_KEY"),
            (404, "status 404", "check LIBRARIAN_LLM_URL"),
            (500, "status 500", "check LIBRARIAN_LLM_URL"),
            ("garbage", "did not answer like an OpenAI-compatible server", "check LIBRARIAN_LLM_URL"),
            ("drop", "cannot be reached", "check LIBRARIAN_LLM_URL"),
        ],
    )
    def test_a_list_that_cannot_be_had_says_why_and_what_to_do(
        self, configured: Make, fake_model: FakeModel, how: Failure, cause: str, advice: str
    ) -> None:
        fake_model.fail["models"] = how
        message = failure(configured())
        assert cause in message
        assert advice in message
        assert fake_model.url in message

    def test_a_failure_is_not_remembered(self, configured: Make, fake_model: FakeModel) -> None:
        async def twice() -> str:
            model = ChatModel(configured())
            fake_model.fail["models"] = 500
            with pytest.raises(ModelUnavailable):
                await model.facts()
            fake_model.fail.clear()
            return (await model.facts()).name

        assert asyncio.run(twice()) == "fake"


class TestFailures:
    @pytest.mark.parametrize(
        ("how", "cause", "advice"),
        [
            (401, "refused the key", "set LIBRARIAN_LLM_API_KEY"),
            (404, "status 404", "look at the server's log"),
            (429, "status 429", "then ask again"),
            (500, "status 500", "look at the server's log"),
            (503, "status 503", "look at the server's log"),
            ("garbage", "did not answer like an OpenAI-compatible server", "check LIBRARIAN_LLM_URL"),
            ("drop", "broke off", "look at the server's log"),
        ],
    )
    def test_a_server_that_fails_is_unavailable_and_the_message_says_why_and_what_to_do(
        self, configured: Make, fake_model: FakeModel, how: Failure, cause: str, advice: str
    ) -> None:
        fake_model.fail["chat"] = how
        message = failure(configured())
        assert cause in message
        assert advice in message
        assert fake_model.url in message

    @pytest.mark.parametrize("status", [400, 422])
    def test_a_request_that_is_refused_is_the_callers_fault_and_the_reason_is_told(
        self, configured: Make, fake_model: FakeModel, status: int
    ) -> None:
        fake_model.fail["chat"], fake_model.error_message = status, "this model's maximum is 9"
        assert "refused the request: " in failure(configured(), BadInput)
        assert "this model's maximum is 9" in failure(configured(), BadInput)

    @pytest.mark.parametrize("status", [400, 500])
    def test_a_server_that_repeats_the_key_does_not_make_the_message_show_it(
        self, configured: Make, fake_model: FakeModel, status: int
    ) -> None:
        fake_model.fail["chat"], fake_model.error_message = status, f"bad key {SECRET}!"
        assert "bad key (key)!" in failure(configured(), LibrarianError)

    def test_a_server_that_never_answers_is_given_up(self, configured: Make, fake_model: FakeModel) -> None:
        fake_model.fail["chat"] = "hang"
        message = failure(configured(llm_timeout=1))
        assert "sent nothing for 1 s" in message
        assert "LIBRARIAN_LLM_TIMEOUT" in message

    @pytest.mark.parametrize(
        ("fault", "cause"),
        [
            ({"dies_after": 1}, "broke off"),
            ({"hangs_after": 1}, "sent nothing for 1 s"),
            ({"garbage_after": 1}, "did not answer like an OpenAI-compatible server"),
            ({"finish_reason": None}, "broke off before its answer was complete"),
        ],
    )
    def test_what_goes_wrong_on_the_way_is_an_error_after_the_text_that_came(
        self, configured: Make, fake_model: FakeModel, fault: dict[str, Any], cause: str
    ) -> None:
        for name, value in fault.items():
            setattr(fake_model, name, value)
        seen = []

        async def collect() -> None:
            async for delta in ChatModel(configured(llm_timeout=1)).stream(ASK, 20, Sampling()):
                seen.append(delta.text)

        with pytest.raises(ModelUnavailable, match=cause) as caught:
            asyncio.run(collect())
        assert "".join(seen).startswith("Kubernetes runs ")
        assert SECRET not in str(caught.value)

    def test_nobody_listening_is_an_error_with_the_setting_to_check(
        self, configured: Make, fake_model: FakeModel
    ) -> None:
        fake_model.stop()
        message = failure(configured())
        assert "cannot be reached; check LIBRARIAN_LLM_URL" in message

    def test_without_a_url_the_advice_is_to_start_the_engine(self, settings: Make, fake_model: FakeModel) -> None:
        fake_model.stop()
        message = failure(settings(engine_port=fake_model.port))
        assert "start it with `librarian model` or `librarian up`" in message

    @pytest.mark.parametrize("how", ["restart", "swap"])
    def test_another_model_in_its_place_is_noticed_after_the_error(
        self, configured: Make, fake_model: FakeModel, how: str
    ) -> None:
        async def around() -> list[str]:
            model = ChatModel(configured())
            names = [(await model.facts()).name]
            if how == "restart":
                await asyncio.to_thread(fake_model.stop)
            else:
                fake_model.fail["chat"] = 404  # what vLLM says of a model that it does not serve
            fake_model.models = [{"id": "another"}]
            with pytest.raises(ModelUnavailable):
                [each async for each in model.stream(ASK, 20, Sampling())]
            fake_model.fail.clear()
            if how == "restart":
                await asyncio.to_thread(fake_model.start)
            names.append((await model.facts()).name)
            return names

        assert asyncio.run(around()) == ["fake", "another"]

    def test_check_raises_where_the_server_is_gone_and_is_silent_where_it_is_there(
        self, configured: Make, fake_model: FakeModel
    ) -> None:
        asyncio.run(ChatModel(configured()).check())
        fake_model.stop()
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            asyncio.run(ChatModel(configured()).check())
