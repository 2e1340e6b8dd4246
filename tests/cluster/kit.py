"""Rendered manifests as Python sees them, and questions that several tests ask of them."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "k8s"
BIN = ROOT / ".venv-cluster" / "bin"
CRDS = ROOT.parent / "shared" / "crds"
OVERLAYS = ("cpu", "gpu", "production")
MODELS = ("model-cpu", "model-gpu")
OPTIONAL = ("qdrant-cluster", "shared-volumes", "tune-gpu", "tls", "kueue", "monitoring", "keda", "ingress", "backup")

Manifest = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes writes it: a lone `=` is a word."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


def load_all(text: str) -> list[Manifest]:
    """Every document of a YAML stream."""
    return [each for each in yaml.load_all(text, _Loader) if each]


def render(folder: Path) -> list[Manifest]:
    """What `kubectl kustomize FOLDER` prints."""
    done = subprocess.run([BIN / "kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return load_all(done.stdout)


@cache
def overlay(name: str) -> tuple[Manifest, ...]:
    """One overlay, rendered once."""
    return tuple(render(K8S / "overlays" / name))


def combinations() -> Iterator[tuple[str, ...]]:
    """Each optional part alone, all but each of them, none and all of them; with one of the models each."""
    for number, size in enumerate((0, 1, len(OPTIONAL) - 1, len(OPTIONAL))):
        for parts in itertools.combinations(OPTIONAL, size):
            yield (MODELS[number % 2], *parts)


def combine(parts: tuple[str, ...], folder: Path) -> list[Manifest]:
    """The base with these components, in the order given."""
    up = Path("../" * len(folder.resolve().parts)) / K8S.relative_to("/")
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [str(up / "base")],
        "components": [str(up / "components" / part) for part in parts],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return render(folder)


@dataclass(frozen=True)
class Workload:
    """What makes pods: its kind and name, the labels and the spec of its pods, the manifest itself."""

    kind: str
    name: str
    labels: dict[str, str]
    pod: Manifest
    manifest: Manifest

    @property
    def containers(self) -> list[Manifest]:
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    def environment(self) -> dict[str, Manifest]:
        """Name to entry of every variable named one by one."""
        return {entry["name"]: entry for each in self.containers for entry in each.get("env", [])}


def workloads(manifests: tuple[Manifest, ...] | list[Manifest]) -> list[Workload]:
    """Every Deployment, StatefulSet, Job and CronJob."""
    found = []
    for each in manifests:
        spec = each.get("spec", {})
        if each["kind"] == "CronJob":
            template = spec["jobTemplate"]["spec"]["template"]
        elif each["kind"] in {"Deployment", "StatefulSet", "Job"}:
            template = spec["template"]
        else:
            continue
        labels = template["metadata"]["labels"]
        found.append(Workload(each["kind"], each["metadata"]["name"], labels, template["spec"], each))
    return found


def of_kind(manifests: tuple[Manifest, ...] | list[Manifest], kind: str) -> list[Manifest]:
    """The manifests of one kind."""
    return [each for each in manifests if each["kind"] == kind]


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a label selector (matchLabels, matchExpressions) selects these labels."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions", []):
        has, value = rule["key"] in labels, labels.get(rule["key"])
        right = {
            "In": has and value in rule.get("values", []),
            "NotIn": not has or value not in rule.get("values", []),
            "Exists": has,
            "DoesNotExist": not has,
        }[rule["operator"]]
        if not right:
            return False
    return True


def by_reference(workload: Workload, manifests: tuple[Manifest, ...]) -> dict[str, str | None]:
    """Value of every variable of a workload, those from ConfigMaps among them; None where a Secret holds it."""
    maps = {each["metadata"]["name"]: each.get("data", {}) for each in of_kind(manifests, "ConfigMap")}
    found: dict[str, str | None] = {}
    for container in workload.containers:
        for source in container.get("envFrom", []):
            found |= maps[source["configMapRef"]["name"]]
        for entry in container.get("env", []):
            named = entry.get("valueFrom", {}).get("configMapKeyRef")
            found[entry["name"]] = maps[named["name"]][named["key"]] if named else entry.get("value")
    return found
