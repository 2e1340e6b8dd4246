"""Training of an adapter on a model made for the test: what is learnt, and that a killed training loses nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.context import Budget
from rag.tuning.adapter.examples import Shape, make_examples
from rag.tuning.adapter.packing import IGNORED, packed
from rag.tuning.adapter.pairs import read_pairs
from rag.tuning.adapter.replying import replies
from rag.tuning.adapter.training import Encoded, Recipe, encode, of_start, ordered, train
from tests.adapter_kit import question_folder, tiny_model, tiny_tokenizer
from tests.conftest import WordCounter

pytest.importorskip("trl")

RECIPE = Recipe(rank=4, alpha=8, learning_rate=5e-3, warmup=2, batch=2, save_steps=3, report_steps=1)


class Killed(Exception):
    pass


def kill(line: str) -> None:
    if line.startswith("step 4 "):
        raise Killed


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Encoded]:
    pairs = read_pairs(question_folder(tmp_path_factory.mktemp("questions") / "data"))
    budget = Budget(window=4096, answer=64, passages=1600)
    made = make_examples(pairs, Shape(passages=(1, 1), unanswerable=0), WordCounter(), budget, 0)
    tokenizer = tiny_tokenizer()
    return [encode(each, tokenizer) for each in made]


def weights(model: Any) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in model.named_parameters() if "lora_" in name}


def test_what_is_encoded_is_the_chat_templates_prompt_and_then_the_answer(examples: list[Encoded]) -> None:
    tokenizer = tiny_tokenizer()
    for each in examples:
        assert tokenizer.decode(each.ids[: each.prompt]).endswith("<|im_start|>assistant\n")
        target = tokenizer.decode(each.ids[each.prompt :])
        assert target.startswith("shade")
        assert target.endswith(" [1].<|im_end|>")


@given(st.integers(0, 30), st.integers(0, 9))
def test_an_order_holds_every_example_once_and_is_the_same_for_the_same_seed(count: int, seed: int) -> None:
    examples = [Encoded((number, 0), 1) for number in range(count)]
    order = ordered(examples, seed)
    assert sorted(each.ids[0] for each in order) == list(range(count))
    assert ordered(examples, seed) == order


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 9)), min_size=1, max_size=4), st.integers(0, 12))
def test_packed_examples_have_the_loss_that_they_have_one_by_one(sizes: list[tuple[int, int]], shared: int) -> None:
    import torch

    draw = Random(str(sizes))
    model = tiny_model().eval()
    rows = []
    for own, target in sizes:
        ids = [7] * shared + [draw.randrange(2, 250) for _ in range(own + target)]
        rows.append({"input_ids": ids, "labels": [IGNORED] * (shared + own) + ids[shared + own :]})
    total = sum(target for _, target in sizes)
    alone = 0.0
    with torch.no_grad():
        for row, (_, target) in zip(rows, sizes, strict=True):
            ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
            alone += float(model(input_ids=ids, labels=labels).loss) * target / total
        batch = packed(rows)
        together = float(model(**batch).loss)
    assert together == pytest.approx(alone, rel=1e-4)
    wide = sum(len(row["input_ids"]) for row in rows) - shared * (len(rows) - 1)
    assert batch["input_ids"].shape == (1, wide) or batch["input_ids"].shape[1] < wide


def test_a_killed_training_that_is_started_again_ends_as_an_undisturbed_one(
    examples: list[Encoded], tmp_path: Path
) -> None:
    import torch

    whole = weights(train(tiny_model(), tiny_tokenizer(), examples, RECIPE, tmp_path / "whole", lambda _line: None))
    said: list[str] = []
    with pytest.raises(Killed):
        train(tiny_model(), tiny_tokenizer(), examples, RECIPE, tmp_path / "killed", kill)
    assert list((tmp_path / "killed").glob("checkpoint-3"))
    resumed = weights(train(tiny_model(), tiny_tokenizer(), examples, RECIPE, tmp_path / "killed", said.append))
    assert said
    assert said[0].startswith("step 4 ")
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value)


def test_a_step_computed_in_parts_learns_what_it_learns_at_once(examples: list[Encoded], tmp_path: Path) -> None:
    import torch

    whole = weights(train(tiny_model(), tiny_tokenizer(), examples, RECIPE, tmp_path / "1", print))
    parts = weights(train(tiny_model(), tiny_tokenizer(), examples, replace(RECIPE, parts=2), tmp_path / "2", print))
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=2e-3, atol=2e-4)


def test_one_that_begins_from_an_adapter_has_its_sizes_and_changes_it(examples: list[Encoded], tmp_path: Path) -> None:
    import torch

    first = train(tiny_model(), tiny_tokenizer(), examples, replace(RECIPE, layers=1), tmp_path / "1", print)
    first.save_pretrained(tmp_path / "first")
    recipe = of_start(Recipe(rank=9, learning_rate=0.0, warmup=1, batch=2), tmp_path / "first")
    assert (recipe.rank, recipe.alpha, recipe.layers) == (4, 8, 1)
    same = train(tiny_model(), tiny_tokenizer(), examples, recipe, tmp_path / "2", print, tmp_path / "first")
    assert weights(same).keys() == weights(first).keys()
    for name, value in weights(first).items():
        torch.testing.assert_close(weights(same)[name], value)
    further = train(
        tiny_model(), tiny_tokenizer(), examples, replace(recipe, learning_rate=1e-3), tmp_path / "3", print,
        tmp_path / "first",
    )  # fmt: skip
    assert any(not torch.equal(weights(further)[name], value) for name, value in weights(first).items())


def test_a_killed_one_that_began_from_an_adapter_ends_as_an_undisturbed_one(
    examples: list[Encoded], tmp_path: Path
) -> None:
    import torch

    start = tmp_path / "first"
    train(tiny_model(), tiny_tokenizer(), examples, RECIPE, tmp_path / "1", print).save_pretrained(start)
    whole = weights(train(tiny_model(), tiny_tokenizer(), examples, RECIPE, tmp_path / "whole", print, start))
    with pytest.raises(Killed):
        train(tiny_model(), tiny_tokenizer(), examples, RECIPE, tmp_path / "killed", kill, start)
    resumed = weights(train(tiny_model(), tiny_tokenizer(), examples, RECIPE, tmp_path / "killed", print, start))
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value)


def test_only_the_upper_layers_change_and_the_models_own_weights_never(examples: list[Encoded], tmp_path: Path) -> None:
    import torch

    before = {name: value.clone() for name, value in tiny_model().named_parameters()}
    recipe = Recipe(rank=4, layers=1, learning_rate=5e-3, warmup=1, batch=4)
    model = train(tiny_model(), tiny_tokenizer(), examples[:4], recipe, tmp_path, lambda _line: None)
    assert weights(model)
    assert all(".layers.1." in name for name in weights(model))
    with model.disable_adapter():
        for name, value in model.get_base_model().named_parameters():
            plain = name.replace(".base_layer", "")
            if plain in before:
                torch.testing.assert_close(value, before[plain])


def test_the_adapter_makes_the_wanted_answers_likelier(examples: list[Encoded], tmp_path: Path) -> None:
    import torch

    def loss(model: Any) -> float:
        total = 0.0
        for each in examples:
            ids = torch.tensor([each.ids])
            labels = ids.clone()
            labels[0, : each.prompt] = -100
            with torch.no_grad():
                total += float(model(input_ids=ids, labels=labels).loss)
        return total

    rounds = examples * 4
    model = train(tiny_model(), tiny_tokenizer(), rounds, RECIPE, tmp_path, lambda _line: None)
    after = loss(model)
    with model.disable_adapter():
        assert after < loss(model) - 1


def test_replies_come_in_the_order_of_the_prompts_whatever_their_lengths(examples: list[Encoded]) -> None:
    model, tokenizer = tiny_model(), tiny_tokenizer()
    alone = [replies(model, tokenizer, [each], 3)[0] for each in examples[:4]]
    assert replies(model, tokenizer, examples[:4], 3) == alone
