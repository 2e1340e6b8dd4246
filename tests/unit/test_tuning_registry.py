"""Artefacts: written whole with their card, refused by name when they are not what was made; and what is in service."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.encoders import LocalEncoder
from rag.encoders.folder import hash_folder
from rag.errors import BadInput, EncoderError, LibrarianError, RerankerError, SettingsError
from rag.reranking import LocalReranker
from rag.settings import Settings, load
from rag.tuning import extra
from rag.tuning.artefacts import Artefact, check_tuned, open_artefact, write_card
from rag.tuning.card import KINDS, Base, Card, Data, File, Measured
from rag.tuning.errors import ArtefactExists, ArtefactNotFound, ArtefactRefused, ExtraMissing
from rag.tuning.in_service import InService, Promoted
from rag.tuning.readme import readme
from rag.tuning.registry import Registry


def card(name: str = "mine", **fields: object) -> Card:
    given = Card(
        name=name,
        kind="encoder",
        base=Base("minilm", "ab" * 32),
        data=Data("scifact train", "cd" * 32, 800, 100, "by document", 7, "CC BY-NC 2.0"),
        created="2026-11-28T02:00:00Z",
        seed=7,
        settings={"epochs": 2},
        metrics=(Measured("held-out", "nDCG@10", 100, 0.7, (0.6, 0.8), 0.6, (0.5, 0.7), 0.01),),
    )
    return replace(given, **fields)  # type: ignore[arg-type]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "tuned")


@pytest.fixture
def made(registry: Registry) -> Artefact:
    """A finished artefact of two files."""
    return make(registry)


def make(registry: Registry, kind: str = "encoder") -> Artefact:
    import numpy as np
    from safetensors.numpy import save_file

    folder = registry.work("mine") / "model"
    folder.mkdir()
    save_file({"weight": np.arange(64, dtype=np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text('{"hidden_size": 8}')
    return registry.add(folder, card(kind=kind))


def test_a_finished_training_appears_whole_with_both_forms_of_its_card(registry: Registry, made: Artefact) -> None:
    assert made.folder == registry.folder / "mine"
    assert registry.get("mine").card == made.card
    assert set(made.card.files) == {"config.json", "model.safetensors"}
    assert (
        "| held-out | nDCG@10 | 100 | 0.6000 [0.5000, 0.7000] | 0.7000 [0.6000, 0.8000] | 0.0100 |"
        in (made.folder / "README.md").read_text()
    )
    assert not (registry.folder / ".work" / "mine").exists()


def test_whoever_may_read_the_card_may_read_the_weights(made: Artefact) -> None:
    modes = {each.name: each.stat().st_mode & 0o777 for each in made.folder.iterdir()}
    assert modes["model.safetensors"] == modes["config.json"] == modes["card.json"]


def test_a_name_is_taken_once(registry: Registry, made: Artefact) -> None:
    with pytest.raises(ArtefactExists, match="'mine'"):
        registry.check_free("mine")


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "Upper", "a/b", "x" * 65, "-dash", "new\nline"])
def test_names_that_are_no_folders_everywhere_are_refused(registry: Registry, name: str) -> None:
    with pytest.raises(BadInput, match="is no name"):
        registry.get(name)


def test_an_unknown_name_says_where_to_look(registry: Registry) -> None:
    with pytest.raises(ArtefactNotFound, match="librarian tune list"):
        registry.get("other")


def cut_short(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-20])


def flipped(folder: Path) -> None:
    whole = bytearray((folder / "model.safetensors").read_bytes())
    whole[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(whole))


def changed(folder: Path) -> None:
    (folder / "config.json").write_text('{"hidden_size": 9}')


def missing(folder: Path) -> None:
    (folder / "config.json").unlink()


def pickled(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": 1}))


def with_code(folder: Path) -> None:
    (folder / "modeling.py").write_text("print('ran')")


def added(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")


def without_card(folder: Path) -> None:
    (folder / "card.json").unlink()


def broken_card(folder: Path) -> None:
    (folder / "card.json").write_text('{"format": 1, "kind": "encoder"}')


def moved(folder: Path) -> None:
    found = open_artefact(folder)
    write_card(Artefact(folder, replace(found.card, name="another")))


HARMS = [
    (cut_short, r"model\.safetensors"),
    (flipped, r"corrupt: model\.safetensors"),
    (changed, r"config\.json is not what it was"),
    (missing, r"config\.json is missing"),
    (pickled, r"pytorch_model\.bin, which is pickled"),
    (with_code, r"modeling\.py, which is code"),
    (added, r"adapter_config\.json was added"),
    (broken_card, r"card\.json is no card"),
]


@pytest.mark.parametrize(
    ("harm", "said"), [*HARMS, (without_card, r"card\.json cannot be read"), (moved, "the card of 'another'")]
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_as_it_was_made_is_refused_by_name(
    registry: Registry, kind: str, harm: Callable[[Path], None], said: str
) -> None:
    harm(make(registry, kind).folder)
    with pytest.raises(ArtefactRefused, match=said):
        registry.get("mine")


@pytest.mark.parametrize(("harm", "said"), HARMS)
def test_what_is_in_service_and_not_as_it_was_made_is_refused_when_it_is_loaded(
    registry: Registry, harm: Callable[[Path], None], said: str
) -> None:
    folder = make(registry, "encoder").folder
    harm(folder)
    with pytest.raises(EncoderError, match=f"'{folder}' cannot be used: .*{said}") as refused:
        LocalEncoder(str(folder), "cpu").encode_query("x")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("harm", "said"), HARMS)
def test_a_reranker_in_service_too(registry: Registry, harm: Callable[[Path], None], said: str) -> None:
    folder = make(registry, "reranker").folder
    harm(folder)
    for use in (LocalReranker(str(folder), "cpu").check, LocalReranker(str(folder), "cpu").warm_up):
        with pytest.raises(RerankerError, match=f"'{folder}' cannot be used: .*{said}"):
            use()


def test_a_model_of_another_kind_is_no_encoder_and_no_reranker(registry: Registry) -> None:
    folder = make(registry, "adapter").folder
    with pytest.raises(EncoderError, match="'mine' is a tuned adapter, and no encoder"):
        LocalEncoder(str(folder), "cpu").encode_query("x")
    with pytest.raises(RerankerError, match="'mine' is a tuned adapter, and no reranker"):
        LocalReranker(str(folder), "cpu").check()


def test_a_tuned_model_may_lie_in_a_folder_of_another_name(registry: Registry, made: Artefact, tmp_path: Path) -> None:
    check_tuned(made.folder.rename(tmp_path / "elsewhere"), "encoder")


def test_another_kind_is_refused(registry: Registry, made: Artefact) -> None:
    with pytest.raises(ArtefactRefused, match="a tuned encoder, and no reranker"):
        registry.get("mine", "reranker")


def test_a_training_that_made_a_pickle_adds_nothing(registry: Registry) -> None:
    folder = registry.work("mine") / "model"
    folder.mkdir()
    pickled(folder)
    with pytest.raises(ArtefactRefused, match="pickled"):
        registry.add(folder, card())
    assert registry.list() == ([], [])


def test_one_broken_artefact_does_not_hide_the_others(registry: Registry, made: Artefact) -> None:
    (registry.folder / "broken").mkdir()
    found, refused = registry.list()
    assert [each.card.name for each in found] == ["mine"]
    assert ["broken" in str(each) for each in refused] == [True]


def test_what_a_card_says_does_not_change_the_model(made: Artefact) -> None:
    before = hash_folder(made.folder)
    write_card(Artefact(made.folder, replace(made.card, licence="Apache-2.0")))
    assert hash_folder(made.folder) == before


texts = st.text(max_size=20)
measured = st.builds(
    Measured,
    data=texts,
    metric=texts,
    count=st.integers(0, 10**6),
    after=st.floats(0, 1),
    before=st.none() | st.floats(0, 1),
    after_interval=st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1)),
)


@given(
    texts,
    st.lists(measured, max_size=3).map(tuple),
    st.dictionaries(texts, st.integers() | texts | st.booleans(), max_size=4),
    st.dictionaries(texts, st.builds(File, st.integers(0, 10**12), texts), max_size=3),
)
def test_a_card_comes_back_as_it_was_written(
    name: str, metrics: tuple[Measured, ...], settings: dict[str, object], files: dict[str, File]
) -> None:
    written = card(name, metrics=metrics, settings=settings, files=files)
    assert Card.from_json(written.to_json(), "card") == written


@given(texts, texts)
def test_no_value_breaks_the_table_that_it_stands_in(licence: str, value: str) -> None:
    page = readme(card(data=replace(card().data, licence=licence), settings={"a|b": value}))
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| held")]
    assert all(line.replace("\\|", "").count("|") in (3, 7) for line in rows)


class TestInService:
    def test_nothing_is_promoted_at_first(self, settings: Callable[..., Settings]) -> None:
        assert settings().encoder == "minilm"

    def test_settings_take_what_was_promoted_where_nobody_sets_another(self, settings: Callable[..., Settings]) -> None:
        registry = Registry.of(settings())
        registry.set_in_service(InService({}).with_promoted("encoder", Promoted("mine", "now")))
        assert settings().encoder == str(registry.folder / "mine")
        assert settings(encoder="minilm").encoder == "minilm"
        assert settings(encoder="").encoder == "minilm"
        assert settings().reranker is None

    def test_the_source_is_named(self, settings: Callable[..., Settings]) -> None:
        registry = Registry.of(settings())
        registry.set_in_service(InService({}).with_promoted("reranker", Promoted("mine", "now")))
        assert load({"data_dir": settings().data_dir}).sources["reranker"] == "tune promote"

    def test_going_back_leads_to_what_was_before(self, registry: Registry) -> None:
        first, second = Promoted("one", "a", {"collections": ["docs"]}), Promoted("two", "b")
        registry.set_in_service(InService({}).with_promoted("encoder", first).with_promoted("encoder", second))
        found = registry.in_service()
        assert found.now("encoder") == second
        assert found.names() == {"one", "two"}
        assert found.without_last("encoder").now("encoder") == first
        assert found.without_last("encoder").without_last("encoder").without_last("encoder").now("encoder") is None

    @pytest.mark.parametrize("text", ["", "[]", "{", '{"encoder": 3}', '{"encoder": [{"name": "x"}]}'])
    def test_a_broken_record_is_named_and_not_guessed_at(self, settings: Callable[..., Settings], text: str) -> None:
        registry = Registry.of(settings())
        registry.folder.mkdir(parents=True)
        (registry.folder / "in-service.json").write_text(text)
        with pytest.raises(SettingsError, match=r"in-service\.json"):
            settings()


def test_a_missing_library_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "peft" else object())
    with pytest.raises(ExtraMissing, match=r"needs peft, .*pip install 'librarian-rag\[tune\]'.*make tune"):
        extra.require(extra.ENCODERS)
    assert issubclass(ExtraMissing, LibrarianError)


def test_the_record_is_plain_json_for_other_programs(registry: Registry) -> None:
    registry.set_in_service(InService({}).with_promoted("encoder", Promoted("mine", "2026-11-28T02:00:00Z")))
    found = json.loads((registry.folder / "in-service.json").read_text())
    assert found == {"encoder": [{"name": "mine", "since": "2026-11-28T02:00:00Z", "facts": {}}]}
