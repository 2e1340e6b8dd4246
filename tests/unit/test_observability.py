"""The dashboard and the alert rules: they ask for what is exported, and fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from rag.answering import Librarian
from rag.generation import ChatModel
from rag.settings import Settings
from serve.app import create_app
from serve.metrics import Metrics
from tests.integration.api_server import FixedRetriever

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "k8s" / "observability"
RULES = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
TESTS = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
PANELS = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
SELECTOR = re.compile(r"(librarian_[a-z_]+)(?:\{([^}]*)\})?")


@pytest.fixture(scope="module")
def exported() -> list[Any]:
    """The families of a service that was asked nothing yet, as a scrape reads them."""
    settings = Settings()
    app = create_app(settings, Librarian(FixedRetriever(), ChatModel(settings), settings))  # type: ignore[arg-type]
    metrics: Metrics = app.state.metrics
    return list(text_string_to_metric_families(metrics.render().decode()))


def expressions() -> Iterator[str]:
    """Everything that is asked of Prometheus."""
    yield from (each["expr"] for each in ALERTS)
    yield from (target["expr"] for panel in PANELS for target in panel["targets"])


def test_every_metric_that_is_asked_for_is_exported(exported: list[Any]) -> None:
    names = {each.name + suffix for each in exported for suffix in SUFFIXES[each.type]}
    asked = {name for each in expressions() for name, _ in SELECTOR.findall(each)}
    assert len(asked) > 10
    assert asked - names == set()


def test_every_label_value_that_is_asked_for_is_exported(exported: list[Any]) -> None:
    """A selector that matches nothing makes an alert that never fires."""
    samples = [each for family in exported for each in family.samples]
    for expression in expressions():
        for name, selector in SELECTOR.findall(expression):
            for label, operator, value in re.findall(r'([a-z]+)(=~|!~|=)"([^"]*)"', selector):
                if label in {"job", "status"}:  # Prometheus's own; and there only after a request
                    continue
                known = {each.labels.get(label) for each in samples if each.name == name}
                wanted = {value} if operator == "=" else set(value.split("|"))
                assert wanted <= known, (name, label, wanted - known)


def test_every_metric_is_documented(exported: list[Any]) -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    for each in exported:
        if each.name.endswith("_created"):  # when each series began: the client library adds it
            continue
        name = each.name + ("_total" if each.type == "counter" else "")
        assert f"`{name}`" in page, name


def test_every_alert_has_its_section_that_says_what_to_do() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL))
    for each in ALERTS:
        section = re.sub(r"\s+", " ", sections[each["alert"]])
        assert all(f"**{part}.**" in section for part in ("Means", "See more", "Do")), each["alert"]
        assert each["annotations"]["runbook_url"] == f"docs/operating.md#{each['alert'].lower()}"
        assert each["labels"]["severity"] in {"page", "ticket"}


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_quiet() -> None:
    cases = {
        (test["alertname"], bool(test["exp_alerts"])) for each in TESTS["tests"] for test in each["alert_rule_test"]
    }
    assert cases == {(each["alert"], fires) for each in ALERTS for fires in (True, False)}


def test_panels_do_not_overlap() -> None:
    places = {(each["gridPos"]["x"], each["gridPos"]["y"]) for each in PANELS}
    assert len(places) == len(PANELS) == len({each["id"] for each in PANELS})


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "alerts.yaml"),
        ("test", "rules", "alerts_test.yaml"),
        ("test", "rules", "alerts_edges_test.yaml"),
    ],
)
def test_prometheus_accepts_the_rules_and_they_fire_when_they_should(arguments: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("THE ALERT RULES ARE NOT TESTED: promtool, which comes with Prometheus, is not on the PATH")
    done = subprocess.run([promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
