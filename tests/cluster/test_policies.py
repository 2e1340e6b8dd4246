"""What checkers of the field say: checkov on manifests and Dockerfile, hadolint, yamllint."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.cluster.kit import BIN, K8S, OVERLAYS, ROOT, overlay

# What checkov asks for and is not done, with the reason.
EXCEPTIONS = {
    "CKV_K8S_43": "digests belong to a cluster's own registry: versions are pinned, docs/deploying.md says how",
    "CKV_K8S_15": "versions are pinned and never moved, so a node that has an image need not ask the registry again",
    "CKV_K8S_35": "settings come from the environment only (rag/settings.py); Qdrant and vLLM read theirs there, too",
}
DOCKER_EXCEPTIONS = {
    "CKV_DOCKER_2": "Kubernetes asks its own probes and ignores HEALTHCHECK",
    "CKV_DOCKER_7": "the version stands in the ARG that FROM names",
}


@pytest.mark.parametrize("name", OVERLAYS)
def test_checkov_finds_nothing_but_the_argued_exceptions(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.yaml"
    file.write_text(yaml.safe_dump_all(overlay(name)), encoding="utf-8")
    assert failed_checks(file, "kubernetes") == set(EXCEPTIONS)  # one that no longer fails must go


def test_checkov_accepts_the_dockerfile() -> None:
    assert failed_checks(ROOT / "Dockerfile", "dockerfile") == set(DOCKER_EXCEPTIONS)


def test_hadolint_accepts_the_dockerfile() -> None:
    done = subprocess.run([BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_yamllint_accepts_the_manifests() -> None:
    rules = "{extends: default, rules: {line-length: {max: 180}, document-start: disable, comments: disable, "
    rules += "brackets: {max-spaces-inside: 0}, truthy: {check-keys: false}, indentation: {indent-sequences: true}}}"
    command = [BIN / "yamllint", "--strict", "--config-data", rules, K8S]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def failed_checks(file: Path, framework: str) -> set[str]:
    command = [BIN / "checkov", "--skip-download", "--framework", framework, "--file", file, "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 0
    assert report["summary"]["parsing_errors"] == 0
    return {each["check_id"] for each in report["results"]["failed_checks"]}
