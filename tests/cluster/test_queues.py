"""Jobs, Kueue's quotas, KEDA's and Prometheus's queries."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.kit import K8S, OVERLAYS, Manifest, Workload, of_kind, overlay, workloads

# What a real vLLM said of itself; tests/engine holds it against a live one.
VLLM = set((Path(__file__).parent / "vllm_metrics.txt").read_text(encoding="utf-8").split())
# What other programs export, as their own documentation names it.
KNOWN_ELSEWHERE = {
    "up": "Prometheus",
    "cluster_peers_total": "Qdrant",
    "cluster_pending_operations_total": "Qdrant",
    "kube_job_status_failed": "kube-state-metrics",
    "kube_job_created": "kube-state-metrics",
    "kube_cronjob_status_last_successful_time": "kube-state-metrics",
    "kueue_pending_workloads": "Kueue",
}
_FUNCTIONS = {
    "sum",
    "max",
    "min",
    "avg",
    "by",
    "on",
    "and",
    "or",
    "unless",
    "without",
    "ignoring",
    "time",
    "rate",
    "increase",
    "absent",
    "clamp_min",
    "max_over_time",
    "histogram_quantile",
    "le",
}


def jobs(manifests: tuple[Manifest, ...]) -> list[Workload]:
    return [each for each in workloads(manifests) if each.kind in {"CronJob", "Job"}]


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> tuple[Manifest, ...]:
    return overlay(str(request.param))


class TestJobs:
    def test_each_stands_in_the_queue_with_a_priority(self, manifests: tuple[Manifest, ...]) -> None:
        assert {each.name for each in jobs(manifests)} >= {
            "ingest",
            "check",
            "evaluate",
            "tune-encoder",
            "tune-reranker",
            "tune-adapter",
        }
        for each in jobs(manifests):
            labels = each.manifest["spec"]["jobTemplate"]["metadata"]["labels"]
            assert labels["kueue.x-k8s.io/queue-name"] == "librarian"
            assert labels["kueue.x-k8s.io/priority-class"].startswith("librarian-")
            assert "kueue.x-k8s.io/queue-name" not in each.labels  # on the Job, never on its pods

    def test_each_ends_some_day_and_is_cleared_away(self, manifests: tuple[Manifest, ...]) -> None:
        for each in jobs(manifests):
            spec = each.manifest["spec"]["jobTemplate"]["spec"]
            assert spec["activeDeadlineSeconds"] <= 172_800
            assert spec["ttlSecondsAfterFinished"] > 0
            assert each.manifest["spec"]["concurrencyPolicy"] == "Forbid"

    def test_the_ingestion_s_parts_are_as_many_as_its_pods(self, manifests: tuple[Manifest, ...]) -> None:
        (ingest,) = (each for each in jobs(manifests) if each.name == "ingest")
        spec = ingest.manifest["spec"]["jobTemplate"]["spec"]
        assert spec["completionMode"] == "Indexed"
        args = ingest.containers[0]["args"]
        assert args[args.index("--shard") + 1] == f"auto/{spec['completions']}"
        assert spec["backoffLimitPerIndex"] > 0

    def test_a_rule_for_failed_pods_names_a_container_of_the_pod(self, manifests: tuple[Manifest, ...]) -> None:
        for each in jobs(manifests):
            names = {container["name"] for container in each.containers}
            spec = each.manifest["spec"]["jobTemplate"]["spec"]
            for rule in spec.get("podFailurePolicy", {}).get("rules", []):
                assert rule.get("onExitCodes", {}).get("containerName", "job") in names

    def test_exit_codes_in_the_rules_are_the_command_s(self, manifests: tuple[Manifest, ...]) -> None:
        from librarian import HELP

        known = {int(code) for code in re.findall(r"(?:^|[ ·\n])(\d+) [a-z]", HELP.partition("Exit codes:")[2])}
        for each in jobs(manifests):
            spec = each.manifest["spec"]["jobTemplate"]["spec"]
            for rule in spec.get("podFailurePolicy", {}).get("rules", []):
                assert set(rule.get("onExitCodes", {}).get("values", [])) <= known, each.name

    def test_every_command_line_is_understood(self, manifests: tuple[Manifest, ...]) -> None:
        """Each option of a job's `librarian …` is one that the command has."""
        from typer.main import get_command

        from librarian import build

        for each in jobs(manifests):
            container = each.containers[0]
            text = " ".join(container["args"])
            lines = re.findall(r"librarian ((?:[^\n>]|\\\n)+)", text) if "command" in container else [text]
            assert lines, each.name
            for line in lines:
                words = line.replace("\\\n", " ").split()
                command: Any = get_command(build())
                while hasattr(command, "commands"):
                    command = command.commands[words.pop(0)]
                options = {name for parameter in command.params for name in parameter.opts}
                assert {word for word in words if word.startswith("--")} <= options, f"{each.name}: {line}"


@pytest.mark.parametrize("name", ["gpu", "production"])
class TestQueues:
    def test_quotas_cover_every_resource_that_jobs_request(self, name: str) -> None:
        (queue,) = of_kind(overlay(name), "ClusterQueue")
        covered = {each for group in queue["spec"]["resourceGroups"] for each in group["coveredResources"]}
        for each in jobs(overlay(name)):
            for container in each.containers:
                assert set(container["resources"]["requests"]) <= covered, each.name

    def test_each_flavor_has_a_quota_for_each_resource_and_exists(self, name: str) -> None:
        (queue,) = of_kind(overlay(name), "ClusterQueue")
        flavors = {each["metadata"]["name"] for each in of_kind(overlay(name), "ResourceFlavor")}
        for group in queue["spec"]["resourceGroups"]:
            for flavor in group["flavors"]:
                assert flavor["name"] in flavors
                assert [each["name"] for each in flavor["resources"]] == group["coveredResources"]

    def test_every_job_fits_a_flavor(self, name: str) -> None:
        (queue,) = of_kind(overlay(name), "ClusterQueue")
        (group,) = queue["spec"]["resourceGroups"]
        quotas = [{each["name"]: amount(each["nominalQuota"]) for each in f["resources"]} for f in group["flavors"]]
        for each in jobs(overlay(name)):
            spec = each.manifest["spec"]["jobTemplate"]["spec"]
            pods = spec.get("parallelism", 1)
            needs = {key: pods * amount(value) for key, value in each.containers[0]["resources"]["requests"].items()}
            assert any(all(quota[key] >= value for key, value in needs.items()) for quota in quotas), each.name

    def test_the_local_queue_and_the_priorities_exist(self, name: str) -> None:
        (local,) = of_kind(overlay(name), "LocalQueue")
        (queue,) = of_kind(overlay(name), "ClusterQueue")
        assert (local["metadata"]["name"], local["spec"]["clusterQueue"]) == ("librarian", queue["metadata"]["name"])
        priorities = {each["metadata"]["name"] for each in of_kind(overlay(name), "WorkloadPriorityClass")}
        for each in jobs(overlay(name)):
            labels = each.manifest["spec"]["jobTemplate"]["metadata"]["labels"]
            assert labels["kueue.x-k8s.io/priority-class"] in priorities

    def test_the_gpus_that_serve_are_not_among_them(self, name: str) -> None:
        (queue,) = of_kind(overlay(name), "ClusterQueue")
        for flavor in queue["spec"]["resourceGroups"][0]["flavors"]:
            if flavor["name"] == "librarian-gpu":
                (gpus,) = (each for each in flavor["resources"] if each["name"] == "nvidia.com/gpu")
                assert gpus["nominalQuota"] == "0"


class TestQueries:
    def test_each_asks_for_a_metric_that_somebody_exports(self) -> None:
        own = set(re.findall(r"librarian_[a-z_]+", (K8S.parent / "docs" / "operating.md").read_text()))
        for query in queries():
            for name in metrics(query):
                plain = re.sub(r"_(bucket|count|sum)$", "", name)  # of a histogram
                known = name in KNOWN_ELSEWHERE or {name, plain} & own or name in VLLM
                assert known, f"{name} in {query}"

    def test_the_runbook_asks_the_model_for_nothing_that_it_does_not_say(self) -> None:
        page = (K8S.parent / "docs" / "operating.md").read_text(encoding="utf-8")
        asked = set(re.findall(r"vllm:[a-z0-9_]+", page))
        assert asked
        assert asked <= VLLM

    def test_those_of_the_model_use_its_real_label(self) -> None:
        for query in queries():
            assert not re.search(r"vllm:[^}]*[{,]model=", query)

    def test_scaling_keeps_what_there_is_when_prometheus_is_gone(self) -> None:
        for each in of_kind(overlay("production"), "ScaledObject"):
            assert each["spec"]["minReplicaCount"] >= 1
            assert each["spec"]["fallback"]["behavior"] == "currentReplicasIfHigher"


def queries() -> list[str]:
    """Every PromQL expression of rules and triggers."""
    manifests = overlay("production")
    found = [
        trigger["metadata"]["query"]
        for each in of_kind(manifests, "ScaledObject")
        for trigger in each["spec"]["triggers"]
        if trigger["type"] == "prometheus"
    ]
    for each in of_kind(manifests, "PrometheusRule"):
        found += [rule["expr"] for group in each["spec"]["groups"] for rule in group["rules"]]
    assert len(found) > 5
    return found


def metrics(query: str) -> set[str]:
    """Names of the metrics in a PromQL expression."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", "", query)
    bare = re.sub(r"\b(by|on|ignoring|without)\s*\([^)]*\)", "", bare)
    return {word for word in re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare) if word not in _FUNCTIONS}


def amount(quantity: str) -> float:
    """A Kubernetes quantity as a number."""
    number, unit = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]*)", str(quantity)).groups()  # type: ignore[union-attr]
    scale = {"": 1, "m": 1e-3, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    return float(number) * scale[unit]
