"""What the manifests name exists, and what talks to each other may: services, settings, secrets, flows, probes."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import pytest

from rag.settings import PREFIX, Settings
from tests.cluster.kit import K8S, OVERLAYS, ROOT, Manifest, Workload, of_kind, overlay, selects, workloads

# Variables that are no settings of Librarian: whose they are.
OTHERS = {
    "MODEL": "arguments of vLLM in the manifest itself",
    "MODEL_CONTEXT_TOKENS": "arguments of vLLM in the manifest itself",
    "BACKUP_FOLDER": "arguments of the job in the manifest itself",
    "PEER_SCHEME": "arguments of Qdrant in the manifest itself",
    "HF_TOKEN": "huggingface_hub",
    "HF_HOME": "huggingface_hub",
    "HOME": "the C library",
    "USER": "the C library",
    "XDG_CACHE_HOME": "the desktop's conventions, followed by several libraries",
    "VLLM_CACHE_ROOT": "vLLM",
    "VLLM_NO_USAGE_STATS": "vLLM",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "vLLM",
    "NAME": "the script of a training in the manifest itself",
    "VLLM_CPU_KVCACHE_SPACE": "vLLM",
    "DO_NOT_TRACK": "vLLM",
    "TORCHINDUCTOR_CACHE_DIR": "torch",
    "TRITON_CACHE_DIR": "triton",
    "AWS_ACCESS_KEY_ID": "s3fs",
    "AWS_SECRET_ACCESS_KEY": "s3fs",
    "AWS_ENDPOINT_URL": "s3fs",
}

JOBS = ("ingest", "check", "evaluate", "tune-encoder", "tune-reranker", "tune-adapter", "backup", "restore")
# Who talks to whom, and why. What is not here must not be possible, and what is here must be.
FLOWS = {
    ("api", "qdrant", 6333): "searches, records",
    ("api", "qdrant", 6334): "the same over gRPC (LIBRARIAN_QDRANT_GRPC)",
    ("api", "model", 8000): "answers, rewritten questions",
    ("qdrant", "qdrant", 6333): "a shard's snapshot, when a node joins",
    ("qdrant", "qdrant", 6335): "Raft and replication",
    **{(job, "qdrant", port): "reads or writes the index" for job in JOBS for port in (6333, 6334)},
    **{(job, "model", 8000): "jobs may ask for answers" for job in JOBS},
}


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> tuple[Manifest, ...]:
    return overlay(str(request.param))


def by_name(manifests: tuple[Manifest, ...]) -> dict[str, Workload]:
    return {each.name: each for each in workloads(manifests)}


class TestServices:
    def test_each_selects_exactly_one_workload_and_its_ports_exist(self, manifests: tuple[Manifest, ...]) -> None:
        services = of_kind(manifests, "Service")
        assert services
        for service in services:
            spec = service["spec"]
            chosen = [each for each in workloads(manifests) if selects({"matchLabels": spec["selector"]}, each.labels)]
            assert len(chosen) == 1, service["metadata"]["name"]
            named = {port["name"] for each in chosen[0].containers for port in each["ports"]}
            for port in spec["ports"]:
                assert port["targetPort"] in named, service["metadata"]["name"]

    def test_every_address_in_the_settings_is_a_service_with_that_port(self, manifests: tuple[Manifest, ...]) -> None:
        ports = {
            each["metadata"]["name"]: {port["port"] for port in each["spec"]["ports"]}
            for each in of_kind(manifests, "Service")
        }
        for name in ("LIBRARIAN_QDRANT_URL", "LIBRARIAN_LLM_URL"):
            address = urlsplit(settings_of(manifests)[name])
            assert address.port in ports[str(address.hostname)], name

    def test_the_stateful_set_names_a_headless_service_that_tells_of_starting_peers(
        self, manifests: tuple[Manifest, ...]
    ) -> None:
        services = {each["metadata"]["name"]: each["spec"] for each in of_kind(manifests, "Service")}
        for each in of_kind(manifests, "StatefulSet"):
            spec = services[each["spec"]["serviceName"]]
            assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)
            assert each["spec"]["podManagementPolicy"] == "Parallel"


class TestSettings:
    def test_every_variable_is_a_setting_or_known_to_be_another_program_s(
        self, manifests: tuple[Manifest, ...]
    ) -> None:
        for each in workloads(manifests):
            for name in each.environment():
                known = name.removeprefix(PREFIX).lower() in Settings.model_fields
                assert known or name in OTHERS or name.startswith("QDRANT_"), f"{each.name}: {name}"

    def test_the_shared_settings_are_valid_together(self, manifests: tuple[Manifest, ...]) -> None:
        values = {name.removeprefix(PREFIX).lower(): value for name, value in settings_of(manifests).items()}
        assert Settings(**values).collection == "documents"

    def test_the_model_that_is_asked_for_is_the_one_that_is_served(self, manifests: tuple[Manifest, ...]) -> None:
        (vllm,) = by_name(manifests)["model"].containers
        assert f"--served-model-name={settings_of(manifests)['LIBRARIAN_LLM_MODEL']}" in vllm["args"]

    def test_the_api_does_not_run_open_to_everybody(self, manifests: tuple[Manifest, ...]) -> None:
        environment = by_name(manifests)["api"].environment()
        assert "secretKeyRef" in environment["LIBRARIAN_API_KEY"]["valueFrom"]
        assert "LIBRARIAN_ALLOW_ANONYMOUS" not in {*environment, *settings_of(manifests)}


class TestReferences:
    def test_every_secret_is_one_that_the_guide_says_how_to_make(self, manifests: tuple[Manifest, ...]) -> None:
        guide = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
        made = {
            name: set(re.findall(r"--from-(?:literal|file)=([a-z0-9.-]+)=", command))
            for name, command in re.findall(r"create secret (?:generic|tls) ([a-z-]+)((?:[^\n]*\\\n)*[^\n]*)", guide)
        }
        for each in workloads(manifests):
            for name, key in secrets_of(each):
                assert name in made, f"{each.name}: Secret {name}"
                assert key in made[name], f"{each.name}: Secret {name}, key {key}"

    def test_every_config_map_and_claim_exists(self, manifests: tuple[Manifest, ...]) -> None:
        maps = {each["metadata"]["name"]: set(each["data"]) for each in of_kind(manifests, "ConfigMap")}
        claims = {each["metadata"]["name"] for each in of_kind(manifests, "PersistentVolumeClaim")}
        for each in workloads(manifests):
            for container in each.containers:
                for source in container.get("envFrom", []):
                    assert source["configMapRef"]["name"] in maps
                for entry in container.get("env", []):
                    wanted = entry.get("valueFrom", {}).get("configMapKeyRef")
                    assert wanted is None or wanted["key"] in maps[wanted["name"]], each.name
            for volume in each.pod.get("volumes", []):
                if "configMap" in volume:
                    assert volume["configMap"]["name"] in maps
                if "persistentVolumeClaim" in volume:
                    assert volume["persistentVolumeClaim"]["claimName"] in claims

    def test_every_mount_has_its_volume_and_every_volume_a_mount(self, manifests: tuple[Manifest, ...]) -> None:
        for each in workloads(manifests):
            templates = each.manifest["spec"].get("volumeClaimTemplates", [])
            volumes = {v["name"] for v in each.pod.get("volumes", [])} | {t["metadata"]["name"] for t in templates}
            mounts = {mount["name"] for c in each.containers for mount in c.get("volumeMounts", [])}
            assert volumes == mounts, each.name

    def test_every_priority_class_and_account_exists(self, manifests: tuple[Manifest, ...]) -> None:
        classes = {each["metadata"]["name"] for each in of_kind(manifests, "PriorityClass")}
        accounts = {each["metadata"]["name"]: each for each in of_kind(manifests, "ServiceAccount")}
        for each in workloads(manifests):
            assert each.pod["priorityClassName"] in classes
            assert accounts[each.pod["serviceAccountName"]]["automountServiceAccountToken"] is False
            assert each.pod["automountServiceAccountToken"] is False


class TestFlows:
    def test_just_what_depends_on_each_other_may_talk(self, manifests: tuple[Manifest, ...]) -> None:
        found = flows(manifests)
        present = set(by_name(manifests))
        expected = {each for each in FLOWS if each[0] in present}
        assert found == expected

    def test_every_workload_is_closed_until_a_policy_opens_it(self, manifests: tuple[Manifest, ...]) -> None:
        closed = [
            each
            for each in of_kind(manifests, "NetworkPolicy")
            if each["spec"]["podSelector"] == {} and set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        ]
        assert any("ingress" not in each["spec"] and "egress" not in each["spec"] for each in closed)

    def test_the_world_is_reached_over_https_only_and_no_private_network_with_it(
        self, manifests: tuple[Manifest, ...]
    ) -> None:
        for each in of_kind(manifests, "NetworkPolicy"):
            for rule in each["spec"].get("egress", []):
                for peer in rule["to"]:
                    if "ipBlock" in peer:
                        assert [port["port"] for port in rule["ports"]] == [443]
                        assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(peer["ipBlock"]["except"])

    def test_every_policy_is_about_pods_that_exist(self, manifests: tuple[Manifest, ...]) -> None:
        for each in of_kind(manifests, "NetworkPolicy"):
            selector = each["spec"]["podSelector"]
            assert any(selects(selector, workload.labels) for workload in workloads(manifests)), each["metadata"]


class TestProbes:
    def test_those_of_the_api_ask_routes_that_exist(self, manifests: tuple[Manifest, ...]) -> None:
        from serve.routes.health import router

        known = {route.path for route in router.routes}  # type: ignore[attr-defined]
        (api,) = by_name(manifests)["api"].containers
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert urlsplit(api[kind]["httpGet"]["path"]).path in known, kind
        assert urlsplit(api["livenessProbe"]["httpGet"]["path"]).path == "/healthz"

    def test_each_asks_a_port_of_its_container(self, manifests: tuple[Manifest, ...]) -> None:
        for each in workloads(manifests):
            for container in each.containers:
                named = {port["name"] for port in container.get("ports", [])}
                for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                    if kind in container:
                        assert container[kind]["httpGet"]["port"] in named

    def test_what_serves_has_all_three(self, manifests: tuple[Manifest, ...]) -> None:
        for name in ("api", "model", "qdrant"):
            (container,) = by_name(manifests)[name].containers
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)

    def test_a_pod_may_finish_what_it_began(self, manifests: tuple[Manifest, ...]) -> None:
        found = by_name(manifests)
        grace = int(found["api"].environment()["LIBRARIAN_SHUTDOWN_GRACE"]["value"])
        (vllm,) = found["model"].containers
        (drain,) = (int(arg.partition("=")[2]) for arg in vllm["args"] if arg.startswith("--shutdown-timeout"))
        for name, own in (("api", grace), ("model", drain)):
            (container,) = found[name].containers
            pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert pause + own < found[name].pod["terminationGracePeriodSeconds"], name


class TestDisruption:
    def test_every_budget_lets_a_node_be_drained(self, manifests: tuple[Manifest, ...]) -> None:
        budgets = of_kind(manifests, "PodDisruptionBudget")
        assert budgets
        for each in budgets:
            spec = each["spec"]
            assert spec.get("maxUnavailable", 0) >= 1
            assert "minAvailable" not in spec
            chosen = [w for w in workloads(manifests) if selects(spec["selector"], w.labels)]
            assert len(chosen) == 1, each["metadata"]["name"]

    def test_nothing_is_scaled_by_two(self, manifests: tuple[Manifest, ...]) -> None:
        targets = Counter(
            each["spec"]["scaleTargetRef"]["name"]
            for kind in ("HorizontalPodAutoscaler", "ScaledObject")
            for each in of_kind(manifests, kind)
        )
        assert targets["api"] == 1
        assert set(targets.values()) == {1}
        for name in targets:  # a number in the manifest would undo the scaler's with each `apply`
            if name == "api":
                assert "replicas" not in by_name(manifests)[name].manifest["spec"]


class TestPods:
    def test_each_keeps_to_the_restricted_standard_and_more(self, manifests: tuple[Manifest, ...]) -> None:
        (namespace,) = of_kind(manifests, "Namespace")
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        for each in workloads(manifests):
            pod = each.pod["securityContext"]
            assert pod["runAsNonRoot"] is True
            assert pod["runAsUser"] > 0
            assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
            for container in each.containers:
                context = container["securityContext"]
                assert context["allowPrivilegeEscalation"] is False
                assert context["readOnlyRootFilesystem"] is True
                assert context["capabilities"] == {"drop": ["ALL"]}

    def test_no_variable_of_a_service_reaches_a_pod(self, manifests: tuple[Manifest, ...]) -> None:
        assert all(each.pod["enableServiceLinks"] is False for each in workloads(manifests))

    def test_each_asks_for_what_it_needs_and_is_held_to_a_limit(self, manifests: tuple[Manifest, ...]) -> None:
        for each in workloads(manifests):
            for container in each.containers:
                for kind in ("requests", "limits"):
                    assert {"cpu", "memory", "ephemeral-storage"} <= set(container["resources"][kind]), each.name

    def test_every_image_has_a_version(self, manifests: tuple[Manifest, ...]) -> None:
        for each in workloads(manifests):
            for container in each.containers:
                image = container["image"].rpartition("/")[2]
                assert "@sha256:" in image or re.fullmatch(r"[a-z-]+:v?\d+\.\d+\.\d+.*", image), image

    def test_no_secret_is_written_down(self, manifests: tuple[Manifest, ...]) -> None:
        assert not of_kind(manifests, "Secret")
        for path in K8S.rglob("*.yaml"):
            assert not re.search(r"(?i)(password|token|api.key): *['\"]?[a-z0-9]{16}", path.read_text("utf-8")), path


def settings_of(manifests: tuple[Manifest, ...]) -> dict[str, str]:
    (found,) = (each for each in of_kind(manifests, "ConfigMap") if each["metadata"]["name"].startswith("settings-"))
    return dict(found["data"])


def secrets_of(workload: Workload) -> list[tuple[str, str]]:
    found = []
    for entry in workload.environment().values():
        wanted = entry.get("valueFrom", {}).get("secretKeyRef")
        if wanted:
            found.append((wanted["name"], wanted["key"]))
    for volume in workload.pod.get("volumes", []):
        if "secret" in volume:
            keys = [item["key"] for item in volume["secret"].get("items", [])] or ["tls.crt", "tls.key", "ca.crt"]
            found += [(volume["secret"]["secretName"], key) for key in keys]
    return found


def flows(manifests: tuple[Manifest, ...]) -> set[tuple[str, str, int]]:
    """Who may talk to whom within the namespace: allowed both where it leaves and where it arrives."""
    policies = [each["spec"] for each in of_kind(manifests, "NetworkPolicy")]
    found = set()
    pods = workloads(manifests)
    for source in pods:
        for target in pods:
            leaves = _allowed(policies, "egress", "to", source, target)
            arrives = _allowed(policies, "ingress", "from", target, source)
            found |= {(source.name, target.name, port) for port in leaves & arrives}
    return found


def _allowed(policies: list[Any], way: str, peers: str, subject: Workload, other: Workload) -> set[int]:
    ports: set[int] = set()
    for spec in policies:
        if way.capitalize() not in spec["policyTypes"] or not selects(spec["podSelector"], subject.labels):
            continue
        for rule in spec.get(way, []):
            near = [each for each in rule[peers] if "podSelector" in each and "namespaceSelector" not in each]
            if any(selects(each["podSelector"], other.labels) for each in near):
                ports |= {port["port"] for port in rule["ports"]}
    return ports
