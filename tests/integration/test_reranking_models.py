"""Real cross-encoders from folders: each backend scores alike, in any company and thread, and bad folders are named.

The models are MiniLM, or tiny models, with a fresh random head: they stand for any tuned cross-encoder of the same
architecture. They say whether the arithmetic is right and nothing about quality.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag.encoders.folder import find_folder
from rag.encoders.interface import Backend
from rag.errors import EncoderError, RerankerError
from rag.reranking import LocalReranker
from tests.half_precision import places

QUERY = "How do I restart a pod?"
PASSAGES = [
    "A pod is the smallest unit of Kubernetes.",
    "kubectl rollout restart deployment/web restarts its pods one after another.",
    "naïve café 東京 🚀",
    "",
    "A readiness probe says when to send traffic; a liveness probe says when to restart. " * 6,
    "word " * 3000,
    "x",
    "Volumes outlive containers. " * 3,
    "A Service has one address for many pods.",
    "Secrets are base64, which is no encryption.",
]
BACKENDS: list[Backend] = ["torch-fp32", "torch-bf16", "onnx-fp32", "onnx-int8"]
# What a backend's arithmetic may change of a score, as a share of the largest difference between two passages' scores.
TOLERANCE = {"torch-fp32": 1e-3, "onnx-fp32": 1e-3, "torch-bf16": 0.15, "onnx-int8": 0.5}


def cross_encoder(folder: Path, base: Path, labels: int = 1, max_length: int | None = None) -> Path:
    """`base` with a fresh head, saved as sentence-transformers saves a tuned one."""
    import torch
    from sentence_transformers import CrossEncoder

    torch.manual_seed(7)
    model = CrossEncoder(str(base), num_labels=labels, max_length=max_length, device="cpu", local_files_only=True)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "classifier" in name:  # heads begin near 0, where all scores look the same
                weight.mul_(20)
    model.save(str(folder))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cross_encoder(tmp_path_factory.mktemp("reranker") / "model", find_folder("minilm"))


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Callable[[Backend], LocalReranker]:
    made: dict[str, LocalReranker] = {}
    return lambda backend: made.setdefault(backend, LocalReranker(str(folder), "cpu", backend))


def library_scores(folder: Path) -> list[float]:
    """What sentence-transformers itself makes of each pair alone: the logistic function of its logits."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    return [float(model.predict((QUERY, each), show_progress_bar=False)) for each in PASSAGES]


@pytest.fixture(scope="module")
def plain(folder: Path) -> list[float]:
    return library_scores(folder)


def difference(first: list[float], second: list[float]) -> float:
    """The largest difference of a score between the two, over the spread of the second's scores."""
    spread = max(second) - min(second)
    assert spread > 0.01, "all passages score alike: this model can show nothing"
    return max(abs(one - other) for one, other in zip(first, second, strict=True)) / spread


@pytest.mark.parametrize("backend", BACKENDS)
class TestEach:
    def test_scores_are_those_of_sentence_transformers_each_in_its_place(
        self, loaded: Callable[[Backend], LocalReranker], plain: list[float], backend: Backend
    ) -> None:
        tried = places(PASSAGES, backend)
        found = loaded(backend).scores(QUERY, [PASSAGES[at] for at in tried], math.inf)
        assert difference(found, [plain[at] for at in tried]) < TOLERANCE[backend]
        assert all(0 <= each <= 1 for each in found)

    def test_a_score_does_not_depend_on_what_is_scored_beside_it(
        self, loaded: Callable[[Backend], LocalReranker], backend: Backend
    ) -> None:
        reranker = loaded(backend)
        passages = [PASSAGES[at] for at in places(PASSAGES, backend)]
        among = reranker.scores(QUERY, passages, math.inf)
        back = reranker.scores(QUERY, passages[::-1], math.inf)[::-1]
        alone = [reranker.scores(QUERY, [each], math.inf)[0] for each in passages]
        most = 0.0 if backend.startswith("onnx") else TOLERANCE[backend]
        assert difference(among, alone) <= most
        assert difference(back, alone) <= most

    def test_the_same_call_gives_the_same_scores(
        self, loaded: Callable[[Backend], LocalReranker], backend: Backend
    ) -> None:
        passages = [PASSAGES[at] for at in places(PASSAGES, backend)]
        first, second = (loaded(backend).scores(QUERY, passages, math.inf) for _ in range(2))
        assert first == second

    def test_without_time_the_first_eight_are_scored(
        self, loaded: Callable[[Backend], LocalReranker], backend: Backend
    ) -> None:
        reranker = loaded(backend)
        passages = [PASSAGES[at] for at in places(PASSAGES, backend)] * 20
        some = reranker.scores(QUERY, passages, 1e-9)
        assert 8 <= len(some) < len(passages)
        assert len(reranker.scores(QUERY, PASSAGES[:3], 1e-9)) == 3

    def test_many_threads_get_their_own_scores(
        self, loaded: Callable[[Backend], LocalReranker], plain: list[float], backend: Backend
    ) -> None:
        found: dict[int, float] = {}
        tried = places(PASSAGES, backend)

        def score(place: int) -> None:
            found[place] = loaded(backend).scores(QUERY, [PASSAGES[place]], math.inf)[0]

        threads = [threading.Thread(target=score, args=(place,)) for place in tried]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert difference([found[at] for at in tried], [plain[at] for at in tried]) < TOLERANCE[backend]


class TestOnnx:
    def test_it_is_chosen_for_a_bert_on_a_cpu_and_loads_no_torch(self, folder: Path) -> None:
        script = (
            f"import sys; from rag.reranking import LocalReranker; r = LocalReranker({str(folder)!r}, 'cpu');"
            "r.warm_up(); sys.exit(r.backend != 'onnx-int8' or 'torch' in sys.modules or 'transformers' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2]).returncode == 0

    @pytest.mark.parametrize(
        ("architecture", "config", "max_length"),
        [
            ("bert", {"hidden_act": "relu"}, None),
            ("bert", {}, 24),
            ("roberta", {"pad_token_id": 1, "type_vocab_size": 1}, 64),
            ("xlm-roberta", {"pad_token_id": 1, "type_vocab_size": 1}, 64),
        ],
    )
    def test_the_graph_is_the_model(
        self, tmp_path: Path, architecture: str, config: dict[str, Any], max_length: int | None
    ) -> None:
        model = cross_encoder(tmp_path / "model", tiny(tmp_path, architecture, **config), max_length=max_length)
        found = LocalReranker(str(model), "cpu", "onnx-fp32").scores(QUERY, PASSAGES, math.inf)
        assert difference(found, library_scores(model)) < 1e-3

    def test_a_model_that_it_cannot_write_is_scored_by_torch(self, tmp_path: Path) -> None:
        model = cross_encoder(tmp_path / "model", tiny(tmp_path, "bert", hidden_act="silu"))
        reranker = LocalReranker(str(model), "cpu")
        assert reranker.backend == "torch-fp32"
        assert difference(reranker.scores(QUERY, PASSAGES, math.inf), library_scores(model)) < 1e-3
        with pytest.raises(RerankerError, match="its activation is 'silu': set LIBRARIAN_RERANKER_BACKEND"):
            LocalReranker(str(model), "cpu", "onnx-int8").warm_up()

    def test_it_runs_on_no_gpu(self, folder: Path) -> None:
        with pytest.raises(RerankerError, match="scores on the CPU, not on 'cuda'"):
            LocalReranker(str(folder), "cuda", "onnx-int8").warm_up()


def tiny(folder: Path, architecture: str, **config: Any) -> Path:
    """A random two-layer encoder that reads at most 128 tokens."""
    import torch
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "vocab_size": 30522, "max_position_embeddings": 128, "initializer_range": 0.5}
    torch.manual_seed(7)
    model: Any = AutoModel
    model.from_config(AutoConfig.for_model(architecture, **{**sizes, **config})).save_pretrained(folder / "raw")
    types = ["token_type_ids"] if architecture == "bert" else []
    tokenizer: Any = PreTrainedTokenizerFast
    tokenizer(
        tokenizer_file=str(find_folder("minilm") / "tokenizer.json"),
        pad_token="[PAD]",
        model_max_length=100,
        model_input_names=["input_ids", "attention_mask", *types],
    ).save_pretrained(folder / "raw")
    return folder / "raw"


class TestRefusals:
    @pytest.fixture
    def copy(self, folder: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(folder, tmp_path / "copy"))

    @staticmethod
    def refusal(folder: Path | str) -> str:
        """The line that refuses the folder, the same whether it is checked or used."""
        with pytest.raises(RerankerError) as checked:
            LocalReranker(str(folder), "cpu").check()
        with pytest.raises(RerankerError) as used:
            LocalReranker(str(folder), "cpu").scores(QUERY, PASSAGES, 1)
        assert str(used.value) == str(checked.value)
        assert "\n" not in str(used.value)
        assert "LIBRARIAN_RERANKER" in str(used.value)
        return str(used.value)

    def test_a_whole_folder_is_not_refused(self, copy: Path) -> None:
        reranker = LocalReranker(str(copy), "cpu")
        reranker.check()
        assert not reranker.loaded

    def test_an_encoder_is_named_as_no_cross_encoder(self, tmp_path: Path) -> None:
        assert "is not a cross-encoder (an encoder): its architecture is BertModel" in self.refusal("minilm")

    def test_an_encoder_that_claims_to_be_one_is_found_by_its_missing_head(self, copy: Path) -> None:
        shutil.copyfile(find_folder("minilm") / "model.safetensors", copy / "model.safetensors")
        assert "its weights hold no classification head" in self.refusal(copy)

    def test_several_labels_are_refused(self, tmp_path: Path) -> None:
        model = cross_encoder(tmp_path / "model", tiny(tmp_path, "bert"), labels=3)
        assert "gives 3 scores for a passage" in self.refusal(model)

    def test_pickled_weights_are_refused_unread(self, copy: Path) -> None:
        (copy / "model.safetensors").unlink()
        (copy / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
        assert "its weights are pickled (pytorch_model.bin)" in self.refusal(copy)

    def test_missing_weights_are_named(self, copy: Path) -> None:
        (copy / "model.safetensors").unlink()
        assert "it has no model.safetensors" in self.refusal(copy)

    @pytest.mark.parametrize("kept", [0, 5, 4000, -1])
    def test_weights_cut_short_are_named(self, copy: Path, kept: int) -> None:
        whole = (copy / "model.safetensors").read_bytes()
        (copy / "model.safetensors").write_bytes(whole[:kept])
        assert "model.safetensors is missing, cut short or corrupt" in self.refusal(copy)

    def test_a_missing_shard_is_named(self, copy: Path) -> None:
        (copy / "model.safetensors").unlink()
        placed = {"weight_map": {"classifier.weight": "model-1.safetensors"}}
        (copy / "model.safetensors.index.json").write_text(json.dumps(placed))
        assert "model-1.safetensors is missing" in self.refusal(copy)

    def test_code_from_elsewhere_is_refused(self, copy: Path) -> None:
        (copy / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "evil.Module"}]))
        assert "code from outside sentence-transformers ('evil.Module')" in self.refusal(copy)

    @pytest.mark.parametrize("name", ["config.json", "modules.json"])
    def test_a_broken_file_is_named(self, copy: Path, name: str) -> None:
        (copy / name).write_text("{")
        assert f"its {name} is broken" in self.refusal(copy)

    @pytest.mark.parametrize("backend", ["torch-fp32", "onnx-int8"])
    def test_weights_of_another_size_than_the_config_says_are_refused(self, copy: Path, backend: Backend) -> None:
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 7, "hidden_size": 96}))
        with pytest.raises(RerankerError, match="it does not load") as caught:
            LocalReranker(str(copy), "cpu", backend).warm_up()
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("backend", ["torch-fp32", "onnx-int8"])
    def test_weights_that_are_no_numbers_are_refused(self, copy: Path, backend: Backend) -> None:
        from safetensors.numpy import load_file, save_file

        weights = load_file(copy / "model.safetensors")
        weights["classifier.bias"] = weights["classifier.bias"] * float("nan")
        save_file(weights, copy / "model.safetensors", {"format": "pt"})
        with pytest.raises(RerankerError, match="scores that are no numbers"):
            LocalReranker(str(copy), "cpu", backend).warm_up()

    def test_a_hub_name_that_cannot_be_had_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        assert "and the model hub did not give it" in self.refusal("nobody/no-such-reranker")

    def test_the_fingerprint_follows_the_weights(self, copy: Path) -> None:
        before = LocalReranker(str(copy)).fingerprint
        assert before == LocalReranker(str(copy)).fingerprint
        (copy / "model.safetensors").write_bytes(b"other")
        assert LocalReranker(str(copy)).fingerprint != before

    def test_it_is_also_an_encoders_error_for_who_asks_for_no_more(self) -> None:
        assert issubclass(RerankerError, EncoderError)
        assert RerankerError("x").code == "reranker_unavailable"
