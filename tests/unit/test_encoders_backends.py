"""The backends: one folder's vectors are the same whatever runs it, in any order, company and thread."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.encoders import LocalEncoder, Vectors
from rag.encoders.folder import ModelFolder, find_folder
from rag.encoders.interface import Backend
from rag.encoders.onnx_graph import read_safetensors, why_not
from rag.encoders.onnx_runtime import usable_cores
from rag.encoders.torch_runtime import Turns
from rag.errors import EncoderError
from tests.half_precision import places

TEXTS = [
    "A pod is the smallest unit of Kubernetes.",
    "Kubernetes – naïve café 東京 🚀 \u200b\u0000 ﷺ",
    "",
    "x",
    "kubectl get pods " * 40,
    "A readiness probe says when to send traffic; a liveness probe says when to restart. " * 10,
    "word " * 3000,
]
BACKENDS: list[Backend] = ["torch-fp32", "torch-bf16", "onnx-fp32", "onnx-int8"]
# What a backend's arithmetic may change of a vector of MiniLM's: fp32's rounding; bf16's 8 bits; int8's 7.
COSINES = {"torch-fp32": 0.99999, "onnx-fp32": 0.99999, "torch-bf16": 0.995, "onnx-int8": 0.96}


@pytest.fixture(scope="module")
def loaded() -> Callable[[Backend], LocalEncoder]:
    made: dict[str, LocalEncoder] = {}

    def get(backend: Backend) -> LocalEncoder:
        return made.setdefault(backend, LocalEncoder("minilm", backend=backend))

    return get


@pytest.fixture(scope="module")
def plain() -> Vectors:
    """What sentence-transformers itself makes of TEXTS, one at a time."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(find_folder("minilm")), device="cpu", local_files_only=True)
    return np.stack([model.encode(each, normalize_embeddings=True, show_progress_bar=False) for each in TEXTS])


def cosines(first: Vectors, second: Vectors) -> Vectors:
    products: Vectors = (first * second).sum(axis=-1)
    return products


@pytest.mark.parametrize("backend", BACKENDS)
class TestEach:
    def test_vectors_are_those_of_sentence_transformers_each_in_its_place(
        self, loaded: Callable[[Backend], LocalEncoder], plain: Vectors, backend: Backend
    ) -> None:
        tried = places(TEXTS, backend)
        vectors = loaded(backend).encode_documents([TEXTS[at] for at in tried])
        assert vectors.dtype == np.float32
        assert cosines(vectors, plain[tried]).min() > COSINES[backend]

    def test_a_query_is_encoded_as_a_document_is(
        self, loaded: Callable[[Backend], LocalEncoder], plain: Vectors, backend: Backend
    ) -> None:
        vector = loaded(backend).encode_query(TEXTS[0])
        assert vector.shape == (384,)
        assert cosines(vector, plain[0]) > COSINES[backend]

    def test_vectors_are_of_unit_length(self, loaded: Callable[[Backend], LocalEncoder], backend: Backend) -> None:
        texts = [TEXTS[at] for at in places(TEXTS, backend)]
        lengths = np.linalg.norm(loaded(backend).encode_documents(texts), axis=1)
        assert lengths == pytest.approx(1, abs=1e-5)

    def test_the_order_of_the_texts_changes_no_vector(
        self, loaded: Callable[[Backend], LocalEncoder], backend: Backend
    ) -> None:
        texts = [TEXTS[at] for at in places(TEXTS, backend)]
        there = loaded(backend).encode_documents(texts)
        back = loaded(backend).encode_documents(texts[::-1])[::-1]
        assert cosines(there, back).min() > (0.998 if backend == "torch-bf16" else 0.99999)

    def test_no_texts_become_no_vectors(self, backend: Backend) -> None:
        encoder = LocalEncoder("minilm", backend=backend)
        assert encoder.encode_documents([]).shape == (0, 384)
        assert not encoder.loaded

    def test_the_fingerprint_is_the_folders(self, minilm: LocalEncoder, backend: Backend) -> None:
        assert LocalEncoder("minilm", backend=backend).fingerprint == minilm.fingerprint

    def test_many_threads_get_their_own_vectors(
        self, loaded: Callable[[Backend], LocalEncoder], plain: Vectors, backend: Backend
    ) -> None:
        found: dict[int, Vectors] = {}
        tried = places(TEXTS, backend)

        def encode(number: int) -> None:
            found[number] = loaded(backend).encode_query(TEXTS[number])

        threads = [threading.Thread(target=encode, args=(number,)) for number in tried]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert cosines(np.stack([found[number] for number in tried]), plain[tried]).min() > COSINES[backend]


class TestInt8:
    def test_a_text_has_the_same_vector_in_any_company_to_the_last_bit(
        self, loaded: Callable[[Backend], LocalEncoder]
    ) -> None:
        encoder = loaded("onnx-int8")
        among = encoder.encode_documents(TEXTS)
        assert all(np.array_equal(encoder.encode_documents([text])[0], among[at]) for at, text in enumerate(TEXTS))

    def test_it_loads_no_torch(self) -> None:
        script = (
            "import sys; from rag.encoders import LocalEncoder; e = LocalEncoder('minilm', backend='onnx-int8');"
            "e.encode_query('x'); sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2]).returncode == 0

    def test_it_leaves_no_file_behind(self, minilm: LocalEncoder, tmp_path: Path) -> None:
        folder = Path(shutil.copytree(find_folder("minilm"), tmp_path / "model"))
        before = sorted(tmp_path.rglob("*"))
        LocalEncoder(str(folder), backend="onnx-int8").encode_query("x")
        assert sorted(tmp_path.rglob("*")) == before


def tiny(folder: Path, architecture: str = "bert", pooling: str = "mean", **config: Any) -> Path:
    """A random two-layer encoder that reads 64 tokens, saved as sentence-transformers saves one."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"vocab_size": 30522, "max_position_embeddings": 80, "initializer_range": 0.5}
    torch.manual_seed(7)
    half = config.pop("dtype", torch.float32)
    model = AutoModel.from_config(AutoConfig.for_model(architecture, **{**sizes, **config})).to(half)
    model.save_pretrained(folder / "raw")
    AutoTokenizer.from_pretrained(find_folder("minilm"), local_files_only=True).save_pretrained(folder / "raw")
    steps = [Transformer(str(folder / "raw"), max_seq_length=64), Pooling(32, pooling), Normalize()]
    SentenceTransformer(modules=steps, device="cpu", prompts={"query": "ask: ", "document": "read: "}).save(
        str(folder / "model")
    )
    return folder / "model"


class TestOtherModels:
    @pytest.mark.parametrize(
        ("architecture", "pooling", "config"),
        [
            ("bert", "mean", {}),
            ("bert", "cls", {}),
            ("bert", "mean", {"hidden_act": "relu"}),
            ("bert", "mean", {"layer_norm_eps": 0.01}),
            ("roberta", "mean", {"pad_token_id": 1}),
            ("xlm-roberta", "cls", {"pad_token_id": 1, "type_vocab_size": 1}),
        ],
    )
    def test_the_graph_is_the_model(
        self, tmp_path: Path, architecture: str, pooling: str, config: dict[str, Any]
    ) -> None:
        folder = str(tiny(tmp_path, architecture, pooling, **config))
        torch, onnx = (LocalEncoder(folder, backend=each) for each in ("torch-fp32", "onnx-fp32"))
        assert cosines(onnx.encode_documents(TEXTS), torch.encode_documents(TEXTS)).min() > 0.9999
        assert cosines(onnx.encode_query(TEXTS[0]), torch.encode_query(TEXTS[0])) > 0.9999

    @pytest.mark.parametrize("half", ["float16", "bfloat16"])
    def test_half_precision_weights_are_read(self, tmp_path: Path, half: str) -> None:
        import torch
        from safetensors.torch import load_file

        folder = tiny(tmp_path, dtype=getattr(torch, half))
        expected = load_file(folder / "model.safetensors")
        found = read_safetensors(folder / "model.safetensors")
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[name], expected[name].float().numpy()) for name in expected)

    def test_a_models_prompts_are_put_in_front(self, tmp_path: Path) -> None:
        folder = tiny(tmp_path)
        encoder = LocalEncoder(str(folder), backend="onnx-fp32")
        with_prompts = encoder.encode_documents(["pods"])[0], encoder.encode_query("pods")
        room = encoder.max_tokens
        settings = json.loads((folder / "config_sentence_transformers.json").read_text())
        (folder / "config_sentence_transformers.json").write_text(json.dumps({**settings, "prompts": {}}))
        bare = LocalEncoder(str(folder), backend="onnx-fp32")
        assert cosines(with_prompts[0], bare.encode_documents(["read: pods"])[0]) > 0.9999
        assert cosines(with_prompts[1], bare.encode_query("ask: pods")) > 0.9999
        assert room == bare.max_tokens - 2

    def test_a_text_that_fills_the_model_is_not_cut_with_its_prompt(self, tmp_path: Path) -> None:
        encoder = LocalEncoder(str(tiny(tmp_path)), backend="onnx-fp32")
        fits = "pod " * (encoder.max_tokens - 2)
        assert encoder.token_counts([fits]) == [encoder.max_tokens]
        longer = encoder.encode_documents([fits, fits + "pod", fits + "pod kueue"])
        assert not np.allclose(longer[0], encoder.encode_documents(["pod " * (encoder.max_tokens - 3)])[0], atol=1e-4)
        assert np.allclose(longer[1], longer[2])  # what is longer is cut, as the model's own library does

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"model_type": "mpnet"}, "its architecture is 'mpnet'"),
            ({"hidden_act": "silu"}, "its activation is 'silu'"),
            ({"position_embedding_type": "relative_key"}, "its positions are 'relative_key'"),
        ],
    )
    def test_what_cannot_be_a_graph_runs_on_torch_and_says_so(
        self, tmp_path: Path, change: dict[str, Any], reason: str
    ) -> None:
        folder = tmp_path / "model"
        folder.mkdir()
        for name in ("tokenizer.json", "modules.json", "model.safetensors"):
            (folder / name).symlink_to(find_folder("minilm") / name)
        config = json.loads((find_folder("minilm") / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        assert LocalEncoder(str(folder), device="cpu").backend == "torch-fp32"
        with pytest.raises(EncoderError, match=f"cannot run on ONNX, because {reason}: set LIBRARIAN_ENCODER_BACKEND"):
            LocalEncoder(str(folder), backend="onnx-int8").encode_query("x")

    def test_another_step_than_pooling_cannot_be_a_graph(self, tmp_path: Path) -> None:
        steps = ["Transformer", "Pooling", "Dense"]
        listed = [{"type": f"sentence_transformers.models.{step}", "path": ""} for step in steps]
        (tmp_path / "modules.json").write_text(json.dumps(listed))
        assert why_not(ModelFolder(str(tmp_path))) == "it is built of Transformer, Pooling, Dense"

    def test_weights_that_are_cut_off_are_an_error(self, tmp_path: Path) -> None:
        folder = Path(shutil.copytree(find_folder("minilm"), tmp_path / "model"))
        os.truncate(folder / "model.safetensors", 1_000_000)
        with pytest.raises(EncoderError, match="cannot be loaded") as caught:
            LocalEncoder(str(folder), backend="onnx-int8").encode_query("x")
        assert "\n" not in str(caught.value)

    def test_onnx_on_a_gpu_is_refused(self) -> None:
        with pytest.raises(EncoderError, match="encodes on the CPU, not on 'cuda'"):
            LocalEncoder("minilm", device="cuda", backend="onnx-fp32").encode_query("x")


class TestAuto:
    def test_on_a_cpu_it_is_int8_for_the_model_that_was_measured(self) -> None:
        assert LocalEncoder("minilm", device="cpu").backend == "onnx-int8"

    def test_on_a_cpu_it_is_fp32_for_others(self) -> None:
        assert LocalEncoder(str(find_folder("minilm")), device="cpu").backend == "onnx-fp32"

    def test_on_a_cuda_gpu_it_is_bf16(self) -> None:
        assert LocalEncoder("minilm", device="cuda:1").backend == "torch-bf16"

    def test_on_another_accelerator_it_is_fp32(self) -> None:
        assert LocalEncoder("minilm", device="mps").backend == "torch-fp32"


class TestTurns:
    def test_a_query_goes_before_documents_that_waited_longer(self) -> None:
        turns, order = Turns(), []

        def documents() -> None:
            with turns.last():
                order.append("documents")

        def query() -> None:
            with turns.next():
                order.append("query")

        with turns.last():
            waiting = [threading.Thread(target=documents) for _ in range(3)]
            for each in waiting:
                each.start()
            asking = threading.Thread(target=query)
            asking.start()
            while not turns._pressing:
                time.sleep(0.001)
        for each in [*waiting, asking]:
            each.join()
        assert order == ["query", "documents", "documents", "documents"]

    def test_it_is_let_go_where_the_holder_fails(self) -> None:
        turns = Turns()
        with pytest.raises(ZeroDivisionError), turns.next():
            _ = 1 / 0
        with turns.last():
            pass


@pytest.mark.parametrize("backend", ["torch-fp32", "onnx-int8"])
def test_a_query_need_not_wait_for_a_long_list_of_documents(
    loaded: Callable[[Backend], LocalEncoder], backend: Backend
) -> None:
    encoder = loaded(backend)
    encoder.encode_query("warm up")
    documents = threading.Thread(target=encoder.encode_documents, args=(["word " * 200] * 100,))
    documents.start()
    for number in range(3):
        encoder.encode_query(f"What is pod {number}?")
    assert documents.is_alive()
    documents.join()


def test_no_more_threads_than_cores_that_the_process_may_use() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
