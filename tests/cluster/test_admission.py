"""What a schema does not say and an API server refuses: rules in CEL, and changes of what may not change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.kit import CRDS, OVERLAYS, Manifest, load_all, of_kind, overlay

EFFECTS = {"NoSchedule", "PreferNoSchedule", "NoExecute"}
# Of a StatefulSet, all the rest is fixed once it exists (Kubernetes' API reference, StatefulSetSpec).
MAY_CHANGE = {
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
}

# (kind, path, rule as the definition has it): whether what stands at the path, which is there, keeps to it.
RULES: dict[tuple[str, str, str], Callable[[Any], bool]] = {
    (
        "ScaledObject",
        "spec",
        "!has(self.minReplicaCount) || self.minReplicaCount <= "
        "(has(self.maxReplicaCount) ? self.maxReplicaCount : 100)",
    ): lambda spec: spec.get("minReplicaCount", 0) <= spec.get("maxReplicaCount", 100),
    (
        "ClusterQueue",
        "spec",
        "!has(self.cohortName) && has(self.resourceGroups) ? self.resourceGroups.all(rg, rg.flavors.all(f, "
        "f.resources.all(r, !has(r.borrowingLimit)))) : true",
    ): lambda spec: (
        "cohortName" in spec
        or not any(
            "borrowingLimit" in resource
            for group in spec.get("resourceGroups", [])
            for flavor in group["flavors"]
            for resource in flavor["resources"]
        )
    ),
    (
        "ClusterQueue",
        "spec.flavorFungibility",
        "!has(self.preference) || (self.whenCanBorrow == 'TryNextFlavor' && self.whenCanPreempt == 'TryNextFlavor')",
    ): lambda way: "preference" not in way or way.get("whenCanBorrow") == way.get("whenCanPreempt") == "TryNextFlavor",
    (
        "ClusterQueue",
        "spec.preemption",
        "!(self.reclaimWithinCohort == 'Never' && has(self.borrowWithinCohort) && "
        "self.borrowWithinCohort.policy != 'Never')",
    ): lambda way: (
        way.get("reclaimWithinCohort", "Never") != "Never"
        or way.get("borrowWithinCohort", {}).get("policy", "Never") == "Never"
    ),
    (
        "ClusterQueue",
        "spec.resourceGroups[]",
        "self.flavors.all(x, size(x.resources) == size(self.coveredResources))",
    ): lambda group: all(len(each["resources"]) == len(group["coveredResources"]) for each in group["flavors"]),
    ("ResourceFlavor", "spec", "!has(self.topologyName) || self.nodeLabels.size() >= 1"): lambda spec: (
        "topologyName" not in spec or len(spec.get("nodeLabels", {})) >= 1
    ),
    (
        "ResourceFlavor",
        "spec.nodeTaints",
        "self.all(x, x.effect in ['NoSchedule', 'PreferNoSchedule', 'NoExecute'])",
    ): lambda taints: all(each["effect"] in EFFECTS for each in taints),
    ("ResourceFlavor", "spec.tolerations", "self.all(x, !has(x.key) ? x.operator == 'Exists' : true)"): lambda all_: (
        all("key" in each or each.get("operator") == "Exists" for each in all_)
    ),
    (
        "ResourceFlavor",
        "spec.tolerations",
        "self.all(x, has(x.tolerationSeconds) ? x.effect == 'NoExecute' : true)",
    ): lambda all_: all("tolerationSeconds" not in each or each.get("effect") == "NoExecute" for each in all_),
    (
        "ResourceFlavor",
        "spec.tolerations",
        "self.all(x, !has(x.operator) || x.operator in ['Equal', 'Exists'])",
    ): lambda all_: all(each.get("operator", "Equal") in {"Equal", "Exists"} for each in all_),
    (
        "ResourceFlavor",
        "spec.tolerations",
        "self.all(x, has(x.operator) && x.operator == 'Exists' ? !has(x.value) : true)",
    ): lambda all_: all(each.get("operator") != "Exists" or "value" not in each for each in all_),
    (
        "ResourceFlavor",
        "spec.tolerations",
        "self.all(x, !has(x.effect) || x.effect in ['NoSchedule', 'PreferNoSchedule', 'NoExecute'])",
    ): lambda all_: all(each.get("effect", "NoSchedule") in EFFECTS for each in all_),
}


@pytest.mark.parametrize("name", OVERLAYS)
def test_custom_resources_keep_to_the_rules_of_their_definitions(name: str) -> None:
    for (kind, path, rule), holds in RULES.items():
        for each in of_kind(overlay(name), kind):
            for value in standing_at(each, path):
                assert holds(value), f"{each['metadata']['name']}: {path}: {rule}"


def test_every_rule_of_the_definitions_is_among_those_asked_for() -> None:
    if not CRDS.is_dir():
        pytest.skip(f"{CRDS} is not there: the definitions of Kueue, KEDA and the Prometheus operator are read from it")
    used = {(each["apiVersion"], each["kind"]) for each in overlay("production")}
    found = set()
    for file in CRDS.glob("*.yaml"):
        for definition in load_all(file.read_text(encoding="utf-8")):
            spec = definition["spec"]
            for version in spec["versions"]:
                kind = spec["names"]["kind"]
                if (f"{spec['group']}/{version['name']}", kind) in used:
                    found |= {(kind, *each) for each in rules_in(version["schema"]["openAPIV3Schema"], "")}
    assert found == set(RULES)


def test_overlays_differ_in_sizes_and_access_of_volumes_alone_of_what_may_never_change() -> None:
    """docs/operating.md says how to go from one to another in spite of those."""
    fixed = [
        {
            (each["kind"], each["metadata"]["name"]): frozen(each)
            for each in overlay(name)
            if each["kind"] in {"StatefulSet", "Deployment", "LocalQueue", "PersistentVolumeClaim"}
        }
        for name in OVERLAYS
    ]
    for one in fixed:
        for other in fixed:
            for key in one.keys() & other.keys():
                assert one[key] == other[key], key


def frozen(manifest: Manifest) -> Any:
    """What may not change of one that exists, but for sizes and access of volumes."""
    spec = manifest["spec"]
    if manifest["kind"] == "PersistentVolumeClaim":
        return {key: value for key, value in spec.items() if key not in {"resources", "accessModes"}}
    if manifest["kind"] != "StatefulSet":
        return spec["selector"] if manifest["kind"] == "Deployment" else spec["clusterQueue"]
    kept = {key: value for key, value in spec.items() if key not in MAY_CHANGE}
    claims = kept.pop("volumeClaimTemplates")
    return kept | {"claims": [(each["metadata"]["name"], each["spec"]["accessModes"]) for each in claims]}


def standing_at(value: Any, path: str) -> Iterator[Any]:
    """Every value at a path like `spec.groups[]`; none where it is not there."""
    first, _, rest = path.partition(".")
    if not first:
        yield value
        return
    found = value.get(first.removesuffix("[]"))
    if found is not None:
        for each in found if first.endswith("[]") else [found]:
            yield from standing_at(each, rest)


def rules_in(schema: Manifest, path: str) -> Iterator[tuple[str, str]]:
    """Path and text of every CEL rule that looks at one state, not at a change."""
    for each in schema.get("x-kubernetes-validations", []):
        if "oldSelf" not in each["rule"]:
            yield path, " ".join(each["rule"].split())
    for name, each in schema.get("properties", {}).items():
        yield from rules_in(each, f"{path}.{name}" if path else name)
    if isinstance(schema.get("items"), dict):
        yield from rules_in(schema["items"], f"{path}[]")
