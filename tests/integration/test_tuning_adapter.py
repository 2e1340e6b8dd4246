"""`librarian tune adapter`, whole, on a model made for the test."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from eval.tune.adapter import SHOWN, Order, make_adapter
from rag.errors import BadInput
from rag.settings import Settings
from rag.tuning.adapter.folder import CONFIG, WEIGHTS, open_adapter
from rag.tuning.adapter.preparing import Plan
from rag.tuning.adapter.training import Recipe
from rag.tuning.errors import ArtefactExists, ArtefactNotFound, ArtefactRefused
from rag.tuning.registry import Registry
from serve.engine.merging import merged_model
from tests.adapter_kit import model_folder, question_folder

pytest.importorskip("trl")
pytestmark = pytest.mark.timeout(300)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def settings(tmp_path: Path, base: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", engine_model=str(base))


@pytest.fixture
def order(tmp_path: Path) -> Order:
    plan = Plan((question_folder(tmp_path / "questions"),), rounds=1, max_tokens=4096)
    recipe = Recipe(rank=4, alpha=8, batch=2, save_steps=1, report_steps=1)
    return Order("grounded", plan, recipe, data_licence="CC0-1.0", licence="Apache-2.0")


def silent(_line: str) -> None:
    pass


def test_an_adapter_is_made_measured_on_other_articles_and_registered(
    settings: Settings, order: Order, base: Path
) -> None:
    made = make_adapter(order, settings, silent)
    found = Registry.of(settings).get("grounded", "adapter")
    assert found.folder == made.folder
    assert {each.name for each in found.folder.iterdir()} == {CONFIG, WEIGHTS, "card.json", "README.md"}
    assert open_adapter(found.folder, base).rank == 4
    card = found.card
    assert (card.base.name, card.licence, card.data.licence) == ("tiny", "Apache-2.0", "CC0-1.0")
    assert (card.data.pairs, card.data.held_out) == (6, 4)
    assert {each.metric for each in card.metrics} <= {*SHOWN, "Cited by the model itself"}
    assert {"F1", "Answered"} <= {each.metric for each in card.metrics}
    assert all(each.before is not None and each.before_interval for each in card.metrics if each.metric == "F1")


def test_joined_into_the_weights_it_answers_as_it_does_apart(
    settings: Settings, order: Order, base: Path, tmp_path: Path
) -> None:
    """What peft computes beside the model is the reference for what the local engine serves on a CPU."""
    import torch
    from peft import PeftModel

    from rag.tuning.adapter.base import load_base

    adapter = open_adapter(make_adapter(order, settings, silent).folder, base)
    python = settings.model_copy(update={"engine_python": Path(sys.executable)})
    joined, tokenizer = load_base(merged_model(python, base, adapter, silent))
    ids = tokenizer("What is the colour of Warsaw 0?", return_tensors="pt").input_ids
    with torch.no_grad():
        plain = load_base(base)[0]
        bare = plain(ids).logits
        apart = PeftModel.from_pretrained(plain, adapter.path)(ids).logits
        torch.testing.assert_close(joined(ids).logits, apart, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(bare, apart, rtol=1e-4, atol=1e-5)


def test_a_folder_apart_is_never_trained_on_and_has_rows_of_its_own(settings: Settings, order: Order) -> None:
    apart = question_folder(settings.data_dir.parent / "manuals")
    same = make_adapter(order, settings, silent).card
    card = make_adapter(replace(order, name="beside", plan=replace(order.plan, apart=(apart,))), settings, silent).card
    assert card.data.sha256 == same.data.sha256
    assert (card.data.pairs, card.data.held_out) == (6, 14)
    rows = {name: [each for each in card.metrics if each.data == name] for name in ("held-out questions", "manuals")}
    assert [each.metric for each in rows["held-out questions"]] == [each.metric for each in same.metrics]
    assert {"F1", "Refused"} <= {each.metric for each in rows["manuals"]}
    assert card.facts["held out"].count("Warsaw") == 1


def test_the_files_name_no_folder_of_the_machine(settings: Settings, order: Order, base: Path) -> None:
    made = make_adapter(order, settings, silent)
    for path in made.folder.iterdir():
        assert str(base.parent).encode() not in path.read_bytes()
    assert json.loads((made.folder / CONFIG).read_text())["base_model_name_or_path"] == "tiny"


def test_one_begins_from_another_and_its_card_says_so(settings: Settings, order: Order) -> None:
    make_adapter(order, settings, silent)
    card = make_adapter(replace(order, name="further", start="grounded"), settings, silent).card
    assert (card.settings["rank"], card.settings["first_round"]) == (4, 1)
    assert card.facts["began from"].startswith("grounded (trained on questions, ")
    assert card.facts["held out here and not there"] == "none"


def test_what_another_split_holds_out_may_have_been_seen(settings: Settings, order: Order) -> None:
    make_adapter(order, settings, silent)
    said: list[str] = []
    other = replace(order, name="further", start="grounded", plan=replace(order.plan, seed=3))
    card = make_adapter(other, settings, said.append).card
    seen = card.facts["held out here and not there"]
    assert seen != "none"
    assert f"held out here, but perhaps trained on by 'grounded': {seen}" in said


def test_one_does_not_begin_from_another_models_adapter(settings: Settings, order: Order) -> None:
    made = make_adapter(order, settings, silent)
    card = made.folder / "card.json"
    card.write_text(card.read_text().replace(made.card.base.sha256, "0" * 64))
    with pytest.raises(ArtefactRefused, match="not the model of these settings"):
        make_adapter(replace(order, name="further", start="grounded"), settings, silent)
    with pytest.raises(ArtefactNotFound):
        make_adapter(replace(order, name="further", start="no-such"), settings, silent)


def test_a_killed_run_is_gone_on_with_by_the_same_order_and_by_no_other(settings: Settings, order: Order) -> None:
    def kill(line: str) -> None:
        if line.startswith("step 2 "):
            raise Killed

    with pytest.raises(Killed):
        make_adapter(order, settings, kill)
    with pytest.raises(BadInput, match="of other data or settings"):
        make_adapter(Order(order.name, order.plan, Recipe(rank=8)), settings, silent)
    steps: list[str] = []
    made = make_adapter(order, settings, steps.append)
    assert made.card.name == "grounded"
    assert not any(each.startswith("step 1 ") for each in steps)


def test_a_name_that_is_taken_is_said_before_anything_is_trained(settings: Settings, order: Order) -> None:
    (settings.data_dir / "tuned" / "grounded").mkdir(parents=True)
    with pytest.raises(ArtefactExists, match="'grounded'"):
        make_adapter(order, settings, silent)


def test_a_model_that_is_no_folder_is_named(tmp_path: Path, order: Order) -> None:
    with pytest.raises(BadInput, match="librarian model --prepare"):
        make_adapter(order, Settings(data_dir=tmp_path), silent)
    with pytest.raises(BadInput, match="'org/model', which is no model's folder"):
        make_adapter(order, Settings(data_dir=tmp_path, engine_model="org/model"), silent)
