"""Every overlay and combination of components renders, and the API server would know each field of it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.cluster.kit import BIN, CRDS, K8S, OVERLAYS, Manifest, combinations, combine, load_all, overlay

BUILT_IN = ("", "apps", "batch", "policy", "autoscaling", "networking.k8s.io", "scheduling.k8s.io")
# Rules as promtool reads them, and its tests: no manifests.
FOR_PROMTOOL = {"alerts.yaml", "alerts_test.yaml", "alerts_edges_test.yaml"}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Manifest]]:
    """Overlays and combinations by name."""
    found = {name: list(overlay(name)) for name in OVERLAYS}
    for parts in combinations():
        found["+".join(parts)] = combine(parts, tmp_path_factory.mktemp("combined"))
    return found


def test_there_is_something_to_check(rendered: dict[str, list[Manifest]]) -> None:
    assert len(rendered) >= 19
    assert all(len(each) > 25 for each in rendered.values())


def test_built_in_kinds_are_valid_to_the_last_field(rendered: dict[str, list[Manifest]], tmp_path: Path) -> None:
    files = []
    for number, (name, manifests) in enumerate(rendered.items()):
        files.append(tmp_path / f"{number}-{name.replace('+', '-')}.yaml")
        own = [each for each in manifests if _group(each) in BUILT_IN]
        files[-1].write_text(yaml.safe_dump_all(own), encoding="utf-8")
    command = [BIN / "kubernetes-validate", "--strict", "--quiet", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_custom_resources_are_valid_to_the_last_field(rendered: dict[str, list[Manifest]]) -> None:
    if not CRDS.is_dir():
        pytest.skip(f"{CRDS} is not there: the definitions of Kueue, KEDA and the Prometheus operator are read from it")
    known = _definitions()
    seen = set()
    for name, manifests in rendered.items():
        for each in manifests:
            if _group(each) in BUILT_IN:
                continue
            kind = (each["apiVersion"], each["kind"])
            assert kind in known, f"{name}: {kind} is defined nowhere"
            schema, scope = known[kind]
            mistakes = [f"{error.json_path}: {error.message}" for error in schema.iter_errors(each)]
            assert not mistakes, f"{name}: {each['kind']} {each['metadata']['name']}: {mistakes}"
            assert ("namespace" in each["metadata"]) == (scope == "Namespaced"), f"{name}: {each['metadata']}"
            seen.add(each["kind"])
    assert seen >= {"ClusterQueue", "LocalQueue", "ResourceFlavor", "WorkloadPriorityClass"}
    assert seen >= {"ScaledObject", "ServiceMonitor", "PrometheusRule"}


def test_names_are_unique_and_everything_is_in_its_namespace(rendered: dict[str, list[Manifest]]) -> None:
    everywhere = {"Namespace", "PriorityClass", "ClusterQueue", "ResourceFlavor", "WorkloadPriorityClass"}
    for name, manifests in rendered.items():
        identities = [(each["kind"], each["metadata"]["name"]) for each in manifests]
        assert len(identities) == len(set(identities)), name
        for each in manifests:
            expected = None if each["kind"] in everywhere else "librarian"
            assert each["metadata"].get("namespace") == expected, f"{name}: {each['kind']} {each['metadata']['name']}"


def test_no_file_is_left_over() -> None:
    """What no kustomization names would look as if it were applied."""
    for folder in {path.parent for path in K8S.rglob("*.yaml")}:
        text = (folder / "kustomization.yaml").read_text(encoding="utf-8")
        for path in folder.glob("*.yaml"):
            known = path.name == "kustomization.yaml" or path.name in text or path.name in FOR_PROMTOOL
            assert known, path


def _group(manifest: Manifest) -> str:
    group, slash, _ = manifest["apiVersion"].partition("/")
    return group if slash else ""


def _definitions() -> dict[tuple[str, str], tuple[Any, str]]:
    found = {}
    for path in CRDS.glob("*.yaml"):
        for definition in load_all(path.read_text(encoding="utf-8")):
            spec = definition["spec"]
            for version in spec["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                _close(schema, top=True)
                kind = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                found[kind] = (jsonschema.Draft7Validator(schema), spec["scope"])
    return found


def _close(schema: Manifest, top: bool = False) -> None:
    """Refuse fields that the definition does not name, as the API server's strict validation does."""
    for each in schema.get("properties", {}).values():
        _close(each)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            _close(schema[key])
    if top:
        schema["properties"]["metadata"] = {"type": "object"}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("properties") and not open_ended:
        schema["additionalProperties"] = False
