"""Settings: which source wins, what is refused, and what a message says and must never say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from rag.errors import SettingsError
from rag.settings import Settings, load

pytestmark = pytest.mark.usefixtures("clean_environment")

SECRETS = ("qdrant_api_key", "encoder_api_key", "llm_api_key", "api_key")
URLS = ("qdrant_url", "encoder_url", "llm_url", "api_url")


def write(name: str, *lines: str) -> None:
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")


class TestStrength:
    def test_without_any_source_every_setting_is_its_default_and_none_has_a_source(self) -> None:
        loaded = load()
        assert loaded.settings == Settings()
        assert loaded.sources == {}

    def test_each_source_beats_the_ones_below_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = []
        write("librarian.toml", "top_k = 11")
        found.append(load())
        write(".env", "LIBRARIAN_TOP_K=12")
        found.append(load())
        monkeypatch.setenv("LIBRARIAN_TOP_K", "13")
        found.append(load())
        found.append(load({"top_k": 14}))
        found.append(load({"top_k": 14}, ["top_k=15"]))
        assert [(each.settings.top_k, each.sources["top_k"]) for each in found] == [
            (11, "librarian.toml"),
            (12, ".env"),
            (13, "environment"),
            (14, "flag"),
            (15, "--set"),
        ]

    def test_sources_that_set_different_names_are_joined(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write("librarian.toml", "port = 9000", 'collection = "kb"')
        write(".env", "LIBRARIAN_TENANT=acme")
        monkeypatch.setenv("LIBRARIAN_PORT", "9001")
        loaded = load({"host": "0.0.0.0"})
        assert (loaded.settings.port, loaded.settings.collection) == (9001, "kb")
        assert loaded.sources == {
            "port": "environment",
            "collection": "librarian.toml",
            "tenant": ".env",
            "host": "flag",
        }

    def test_a_flag_that_was_not_given_hides_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LIBRARIAN_TOP_K", "13")
        assert load({"top_k": None}).sources == {"top_k": "environment"}

    def test_a_flag_of_zero_or_false_was_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LIBRARIAN_TEMPERATURE", "1")
        monkeypatch.setenv("LIBRARIAN_QDRANT_GRPC", "true")
        settings = load({"temperature": 0, "qdrant_grpc": False}).settings
        assert (settings.temperature, settings.qdrant_grpc) == (0, False)

    def test_an_empty_variable_is_not_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write(".env", "LIBRARIAN_TOP_K=", "LIBRARIAN_LLM_URL=")
        write("librarian.toml", "top_k = 11")
        monkeypatch.setenv("LIBRARIAN_TOP_K", "")
        loaded = load()
        assert (loaded.settings.top_k, loaded.settings.llm_url) == (11, None)
        assert loaded.sources == {"top_k": "librarian.toml"}

    def test_variables_for_the_tests_and_of_others_are_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LIBRARIAN_TEST_QDRANT_URL", "http://127.0.0.1:6333")
        monkeypatch.setenv("LIBRARIANS", "many")
        write(".env", "LIBRARIAN_TEST_ANYTHING=1", "OTHER=2")
        assert load().sources == {}

    def test_the_files_are_read_from_the_folder_that_is_given(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        write("elsewhere/librarian.toml", "top_k = 21")
        write("librarian.toml", "top_k = 22")
        assert load(folder=tmp_path / "elsewhere").settings.top_k == 21

    @given(top_k=st.integers(1, 100), temperature=st.floats(0, 2), tenant=st.from_regex(r"[a-z]{1,9}", fullmatch=True))
    def test_pairs_take_what_flags_take(self, top_k: int, temperature: float, tenant: str) -> None:
        pairs = [f"top_k={top_k}", f"temperature={temperature!r}", f"TENANT = {tenant}"]
        assert load(pairs=pairs).settings == Settings(top_k=top_k, temperature=temperature, tenant=tenant)


class TestUnknownNames:
    def test_a_flag(self) -> None:
        with pytest.raises(SettingsError, match=r"unknown setting 'topk' \(flag\); did you mean 'top_k'\?"):
            load({"topk": 1})

    def test_a_pair_may_be_written_with_hyphens(self) -> None:
        assert load(pairs=["top-k=9"]).settings.top_k == 9
        with pytest.raises(SettingsError, match=r"unknown setting 'tip_k' \(--set\); did you mean 'top_k'\?"):
            load(pairs=["tip-k=9"])

    def test_a_variable_is_named_as_it_is_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LIBRARIAN_QDRANT_URI", "http://q")
        with pytest.raises(
            SettingsError, match=r"'LIBRARIAN_QDRANT_URI' \(environment\); did you mean 'LIBRARIAN_QDRANT_URL'\?"
        ):
            load()

    def test_a_line_of_the_env_file(self) -> None:
        write(".env", "LIBRARIAN_TOPK=3")
        with pytest.raises(SettingsError, match=r"'LIBRARIAN_TOPK' \(\.env\); did you mean 'LIBRARIAN_TOP_K'\?"):
            load()

    def test_a_key_of_the_toml_file(self) -> None:
        write("librarian.toml", "colection = 'x'")
        with pytest.raises(SettingsError, match=r"'colection' \(librarian\.toml\); did you mean 'collection'\?"):
            load()

    def test_what_is_near_to_nothing_is_sent_to_the_list(self) -> None:
        with pytest.raises(SettingsError, match="`librarian config` lists every setting"):
            load({"zzzzqqqq": 1})

    def test_an_unknown_name_is_refused_even_where_it_is_empty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LIBRARIAN_TOPK", "")
        with pytest.raises(SettingsError, match="LIBRARIAN_TOPK"):
            load()


class TestInvalidValues:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("top_k", "0"),
            ("top_k", "many"),
            ("port", "65536"),
            ("min_relevance", "1.5"),
            ("rrf_k", "0"),
            ("log_level", "loud"),
            ("qdrant_timeout", "-1"),
            ("encoder_backend", "fp8"),
            ("qdrant_grpc", "perhaps"),
            ("chunk_tokens", "3"),
        ],
    )
    def test_the_message_names_setting_source_value_and_meaning(self, name: str, value: str) -> None:
        with pytest.raises(SettingsError) as caught:
            load(pairs=[f"{name}={value}"])
        message = str(caught.value)
        meaning = Settings.model_fields[name].description
        assert f"'{name}' (--set)" in message
        assert repr(value) in message
        assert f"It means: {meaning}." in message
        assert "\n" not in message

    def test_the_source_is_the_one_the_value_came_from(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write("librarian.toml", "top_k = 'many'")
        with pytest.raises(SettingsError, match=r"'top_k' \(librarian\.toml\)"):
            load()
        monkeypatch.setenv("LIBRARIAN_TOP_K", "lots")
        with pytest.raises(SettingsError, match=r"'top_k' \(environment\) has a value 'lots'"):
            load()

    @pytest.mark.parametrize("name", URLS)
    @pytest.mark.parametrize("value", ["localhost:6333", "ftp://host/x", "//host", "6333"])
    def test_a_url_starts_with_http(self, name: str, value: str) -> None:
        with pytest.raises(SettingsError, match=f"'{name}'.*must start with http:// or https://"):
            load({name: value})

    @pytest.mark.parametrize("name", URLS)
    def test_a_url_loses_its_last_slash(self, name: str) -> None:
        assert getattr(load({name: "https://host:1/v1/"}).settings, name) == "https://host:1/v1"

    def test_broken_toml_names_the_file_and_the_place(self) -> None:
        write("librarian.toml", "top_k = 1", "top_k = ")
        with pytest.raises(SettingsError, match=r"librarian\.toml cannot be read as TOML: .*line 2"):
            load()

    def test_toml_that_is_no_text_is_an_error_too(self) -> None:
        Path("librarian.toml").write_bytes(b"tenant = '\xff'")
        with pytest.raises(SettingsError, match=r"librarian\.toml cannot be read as TOML"):
            load()

    def test_a_table_in_the_toml_file_is_refused(self) -> None:
        write("librarian.toml", "[retrieval]", "top_k = 3")
        with pytest.raises(SettingsError, match="unknown setting 'retrieval'"):
            load()

    def test_a_pair_without_an_equals_sign(self) -> None:
        with pytest.raises(SettingsError, match="--set takes NAME=VALUE, not 'top_k'"):
            load(pairs=["top_k"])

    def test_a_pair_keeps_later_equals_signs(self) -> None:
        assert load(pairs=["llm_model=a=b"]).settings.llm_model == "a=b"

    def test_settings_cannot_be_changed(self) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            load().settings.top_k = 3  # type: ignore[misc]


class TestSecrets:
    @pytest.mark.parametrize("name", SECRETS)
    def test_a_secret_is_in_no_repr(self, name: str) -> None:
        loaded = load({name: "hunter2"})
        assert getattr(loaded.settings, name).get_secret_value() == "hunter2"
        assert "hunter2" not in repr(loaded)
        assert "hunter2" not in str(loaded.settings)
        assert "hunter2" not in loaded.settings.model_dump_json()

    @pytest.mark.parametrize("name", SECRETS)
    @pytest.mark.parametrize("value", [["hunter2"], {"hunter2": 1}])
    def test_a_secret_of_a_wrong_kind_is_not_in_the_message(self, name: str, value: Any) -> None:
        with pytest.raises(SettingsError) as caught:
            load({name: value})
        assert f"'{name}'" in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_another_settings_error_does_not_show_a_secret(self) -> None:
        with pytest.raises(SettingsError) as caught:
            load(dict.fromkeys(SECRETS, "hunter2"), ["top_k=0"])
        assert "hunter2" not in str(caught.value)

    def test_every_setting_that_is_called_a_key_is_kept_secret(self) -> None:
        keys = {name for name in Settings.model_fields if "key" in name or "password" in name or "secret" in name}
        assert keys == set(SECRETS)
        assert all(isinstance(getattr(load({name: "x"}).settings, name), SecretStr) for name in keys)


class TestGroups:
    @pytest.mark.parametrize(
        ("given", "groups"),
        [("a", ("a",)), ("a,b", ("a", "b")), (" a , ,b, ", ("a", "b")), (",", ()), ("", ())],
    )
    def test_a_string_is_split_at_its_commas(self, given: str, groups: tuple[str, ...]) -> None:
        assert load({"groups": given}).settings.groups == groups

    def test_the_toml_file_may_hold_a_list(self) -> None:
        write("librarian.toml", 'groups = ["a", "b c"]')
        assert load().settings.groups == ("a", "b c")

    def test_a_variable_holds_a_list_with_commas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LIBRARIAN_GROUPS", "staff,admins")
        assert load().settings.groups == ("staff", "admins")


class TestMeanings:
    def test_every_setting_says_what_it_means(self) -> None:
        assert [name for name, field in Settings.model_fields.items() if not field.description] == []

    def test_what_lies_below_the_data_folder_follows_it(self) -> None:
        settings = load({"data_dir": "/srv/x"}).settings
        assert (settings.index_dir, settings.models_dir) == (Path("/srv/x/index"), Path("/srv/x/models"))


class TestWhatPeopleWrite:
    def test_a_home_folder_is_found(self, clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/someone")
        assert load({"data_dir": "~/librarian"}).settings.data_dir == Path("/home/someone/librarian")

    def test_a_key_from_a_file_loses_its_line_break(self, clean_environment: Path) -> None:
        key = load({"api_key": "secret\n"}).settings.api_key
        assert key is not None
        assert key.get_secret_value() == "secret"

    @pytest.mark.parametrize("key", ["schlüssel", "two\nlines"])
    def test_a_key_that_no_header_can_carry_is_refused_unseen(self, clean_environment: Path, key: str) -> None:
        with pytest.raises(SettingsError, match="ASCII") as raised:
            load({"llm_api_key": key})
        assert key not in str(raised.value)

    @pytest.mark.parametrize("url", ["http://localhost:abc", "http://", "http://[::1", "https:///v1"])
    def test_a_url_that_leads_nowhere_is_refused(self, clean_environment: Path, url: str) -> None:
        for name in ("qdrant_url", "llm_url", "api_url"):
            with pytest.raises(SettingsError, match=name):
                load({name: url})

    def test_an_empty_value_takes_back_what_a_weaker_source_set(self, clean_environment: Path) -> None:
        (clean_environment / "librarian.toml").write_text('llm_url = "http://model/v1"\nqdrant_url = ""\n')
        loaded = load({"llm_url": ""}, folder=clean_environment)
        assert (loaded.settings.llm_url, loaded.settings.qdrant_url) == (None, None)
        assert "llm_url" not in loaded.sources

    def test_another_programs_unreadable_env_file_is_one_clear_line(self, clean_environment: Path) -> None:
        (clean_environment / ".env").write_bytes(b"NAME=\xff\xfe\n")
        with pytest.raises(SettingsError, match=r"\.env cannot be read"):
            load(folder=clean_environment)
