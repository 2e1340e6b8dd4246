"""What alerts, scaling and the dashboard ask of vLLM's metrics is there under that name in the real one."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2

from serve.engine.process import Engine

K8S = Path(__file__).resolve().parents[2] / "k8s"


def test_every_metric_of_vllm_in_the_manifests_is_exported(engine: Engine) -> None:
    asked = {
        name
        for path in K8S.rglob("*")
        if path.suffix in {".yaml", ".json"}
        for name in re.findall(r"vllm:[a-z0-9_]+", path.read_text(encoding="utf-8"))
    }
    assert asked
    said = httpx2.get(engine.url.removesuffix("/v1") + "/metrics", trust_env=False).text
    exported = set(re.findall(r"^(vllm:[a-z0-9_]+)", said, re.MULTILINE))
    assert asked <= exported
    recorded = set((K8S.parent / "tests" / "cluster" / "vllm_metrics.txt").read_text(encoding="utf-8").split())
    assert recorded <= exported
    assert re.search(r'^vllm:num_requests_waiting\{[^}]*model_name="', said, re.MULTILINE)
