"""The alerts about neighbours and jobs, by promtool; each one firing and quiet, and described for whoever is woken."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.kit import K8S, ROOT, of_kind, overlay

TESTS = Path(__file__).with_name("rules_test.yaml")


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for each in of_kind(overlay("production"), "PrometheusRule")
        for group in each["spec"]["groups"]
        for rule in group["rules"]
    ]


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed (Debian: prometheus)")
def test_each_alert_fires_and_stays_quiet_as_its_tests_say(tmp_path: Path) -> None:
    (found,) = (
        each
        for each in of_kind(overlay("production"), "PrometheusRule")
        if each["metadata"]["name"] == "librarian-cluster"
    )
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": found["spec"]["groups"]}), encoding="utf-8")
    shutil.copy(TESTS, tmp_path)
    command = ["promtool", "test", "rules", TESTS.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tested = {
        (case["alertname"], bool(case["exp_alerts"]))
        for test in yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]
        for case in test["alert_rule_test"]
    }
    names = {rule["alert"] for group in found["spec"]["groups"] for rule in group["rules"]}
    assert tested == {(name, fires) for name in names for fires in (True, False)}


def test_the_operator_gets_the_alerts_that_promtool_tests() -> None:
    tested = yaml.safe_load((K8S / "observability" / "alerts.yaml").read_text(encoding="utf-8"))
    (given,) = (
        each for each in of_kind(overlay("production"), "PrometheusRule") if each["metadata"]["name"] == "librarian-api"
    )
    assert given["spec"] == tested


def test_grafana_gets_the_dashboard() -> None:
    (given,) = (
        each
        for each in of_kind(overlay("production"), "ConfigMap")
        if each["metadata"]["name"] == "librarian-dashboard"
    )
    assert given["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(given["data"]["librarian.json"])["panels"]


def test_each_alert_has_a_section_that_says_what_to_do_and_each_section_an_alert() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL))
    assert set(sections) == {rule["alert"] for rule in rules()}
    for rule in rules():
        section = re.sub(r"\s+", " ", sections[rule["alert"]])
        assert all(f"**{part}.**" in section for part in ("Means", "See more", "Do")), rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"docs/operating.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"warning", "critical", "page", "ticket"}
        assert rule["annotations"]["summary"]
