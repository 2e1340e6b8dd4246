"""Token counts: whose they are, and what is said where they cannot be had."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ModelUnavailable, SettingsError
from rag.schema import Message
from rag.tokens import ByteTokenCounter, LocalTokenCounter, ServerTokenCounter
from tests.fake_model import Failure, FakeModel

HELLO = [Message("system", "Be brief."), Message("user", "Hello there, you.")]
TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}] {{ m.content }} {% endfor %}{% if add_generation_prompt %}[go]{% endif %}"
)


def tokenizer_folder(folder: Path, template: str | None) -> Path:
    """A real tokenizer, small enough to read: each word, and each other sign, is a token."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    if template:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def count_on_server(url: str, timeout: float = 20) -> int:
    async def count() -> int:
        async with httpx2.AsyncClient(timeout=timeout, trust_env=False) as client:
            return await ServerTokenCounter(client, url, "fake").count(HELLO)

    return asyncio.run(count())


class TestLocal:
    def test_the_rendered_prompt_is_counted_with_the_opening_of_the_answer(self, tmp_path: Path) -> None:
        counter = LocalTokenCounter(tokenizer_folder(tmp_path / "model", TEMPLATE))
        # [ system ] Be brief . | [ user ] Hello there , you . | [ go ]
        assert asyncio.run(counter.count(HELLO)) == 6 + 8 + 3

    def test_a_folder_that_is_not_there_is_an_error_that_names_it_and_the_setting(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(SettingsError, match=r"LIBRARIAN_LLM_TOKENIZER '.*absent' is no usable tokenizer") as caught:
            asyncio.run(LocalTokenCounter(tmp_path / "absent").count(HELLO))
        assert "\n" not in str(caught.value)

    def test_an_empty_folder_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="is no usable tokenizer"):
            asyncio.run(LocalTokenCounter(tmp_path).count(HELLO))

    def test_a_broken_file_is_an_error(self, tmp_path: Path) -> None:
        folder = tokenizer_folder(tmp_path / "model", TEMPLATE)
        (folder / "tokenizer.json").write_text("{")
        with pytest.raises(SettingsError, match="is no usable tokenizer"):
            asyncio.run(LocalTokenCounter(folder).count(HELLO))

    def test_a_tokenizer_without_a_chat_template_is_an_error(self, tmp_path: Path) -> None:
        folder = tokenizer_folder(tmp_path / "model", None)
        with pytest.raises(SettingsError, match="has no chat template; set LIBRARIAN_LLM_TOKENIZER"):
            asyncio.run(LocalTokenCounter(folder).count(HELLO))

    def test_nothing_is_loaded_before_something_is_counted(self, tmp_path: Path) -> None:
        assert LocalTokenCounter(tmp_path / "absent").name == f"tokenizer of {tmp_path / 'absent'}"


class TestServer:
    def test_the_servers_count_is_the_count(self, fake_model: FakeModel) -> None:
        assert count_on_server(fake_model.url) == (2 + 3) + (3 + 3)

    def test_it_is_asked_with_the_whole_prompt_and_the_opening_of_the_answer(self, fake_model: FakeModel) -> None:
        count_on_server(fake_model.url)
        (request,) = fake_model.requests
        assert request.path == "/tokenize"
        assert request.body == {
            "model": "fake",
            "messages": [{"role": each.role, "content": each.content} for each in HELLO],
            "add_generation_prompt": True,
        }

    @pytest.mark.parametrize("how", [404, 401, 500, "garbage", "drop", "hang"])
    def test_a_server_that_does_not_count_is_an_error_with_a_way_out(self, fake_model: FakeModel, how: Failure) -> None:
        fake_model.fail["tokenize"] = how
        with pytest.raises(ModelUnavailable, match=r"did not count tokens at .*/tokenize.*LIBRARIAN_LLM_TOKENIZER"):
            count_on_server(fake_model.url, timeout=1)

    def test_a_server_that_is_gone_is_the_same_error(self, fake_model: FakeModel) -> None:
        fake_model.stop()
        with pytest.raises(ModelUnavailable, match="did not count tokens"):
            count_on_server(fake_model.url)


class TestBytes:
    @given(st.lists(st.builds(Message, st.just("user"), st.text()), max_size=4))
    def test_it_is_never_less_than_the_bytes(self, messages: list[Message]) -> None:
        size = sum(len(each.content.encode()) for each in messages)
        assert asyncio.run(ByteTokenCounter().count(messages)) >= size + len(messages) + 1

    def test_it_says_that_it_is_a_bound_and_how_to_be_exact(self) -> None:
        assert "upper bound" in ByteTokenCounter().name
        assert "LIBRARIAN_LLM_TOKENIZER" in ByteTokenCounter().name
