"""What encoders.py measures: speed, the processor's limit, likeness of vectors, retrieval quality, memory."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.encoders import LocalEncoder
from rag.encoders.folder import ModelFolder
from rag.encoders.onnx_runtime import usable_cores

Vectors = NDArray[np.float32]
DEPTH = 10  # nDCG@10

_ROWS = 256  # tokens of one text at most: the height of the matrices
_MATMUL_S = 1.0

# Run in a process of its own: what it takes to hold one backend and to answer a first query with it.
_ALONE = """
import json, sys, time
started = time.perf_counter()
from rag.encoders import LocalEncoder
encoder = LocalEncoder(sys.argv[1], device="cpu", backend=sys.argv[2])
encoder.encode_query("What is a pod?")
first = time.perf_counter() - started
encoder.encode_documents(["word " * 200] * 32)
times = []
for number in range(50):
    began = time.perf_counter()
    encoder.encode_query(f"What does pod number {number} run?")
    times.append(time.perf_counter() - began)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:")) / 1024
print(json.dumps({"first_s": first, "query_ms": sorted(times)[25] * 1e3, "peak_mib": peak}))
"""


@dataclass(frozen=True, slots=True)
class Alone:
    """Seconds from an empty process to its first query's vector, milliseconds of later ones (median), peak RSS."""

    first_s: float
    query_ms: float
    peak_mib: float


def measure_alone(model: str, backend: str) -> Alone:
    """Load one backend in a process of its own and ask it."""
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, model, backend], cwd=root, capture_output=True, text=True, check=True
    )
    return Alone(**json.loads(done.stdout.splitlines()[-1]))


def rates(parts: Sequence[Sequence[str]], encoders: dict[str, Callable[[Sequence[str]], Any]]) -> dict[str, float]:
    """Chunks a second of each, the best over the parts; each part is given to one after the other, so that a
    machine that slows down slows all of them.
    """
    found: dict[str, list[float]] = {name: [] for name in encoders}
    for part in parts:
        for name, encode in encoders.items():
            began = time.perf_counter()
            encode(part)
            found[name].append(len(part) / (time.perf_counter() - began))
    return {name: max(each) for name, each in found.items()}


def flops(config: dict[str, Any], tokens: int) -> float:
    """Floating-point operations of a BERT-like encoder over one text of `tokens` tokens.

    A layer, for L tokens of d numbers and an inner layer of f: the four projections of attention 8 L d², its scores
    and weighted sums 4 L² d, feed-forward 4 L d f; with f = 4 d that is 24 L d² + 4 L² d. A multiplication and an
    addition count as two. Normalization, softmax and activation, under 1%, are left out.
    """
    size, inner = config["hidden_size"], config["intermediate_size"]
    layer = 8 * tokens * size**2 + 4 * tokens**2 * size + 4 * tokens * size * inner
    return float(config["num_hidden_layers"] * layer)


def matmul_rates(config: dict[str, Any]) -> dict[str, float]:
    """GFLOP/s of this processor, all cores, on the model's own linear layers: torch fp32 and bf16, onnxruntime int8.

    Each core multiplies a text's matrix of its own, as quick as these libraries can: what an encoder of nothing but
    matrix products would reach.
    """
    size, inner = config["hidden_size"], config["intermediate_size"]
    shapes = [(size, 3 * size), (size, size), (size, inner), (inner, size)]
    makers = {
        "fp32": lambda rows, columns: _torch_linear(rows, columns, bf16=False),
        "bf16": lambda rows, columns: _torch_linear(rows, columns, bf16=True),
        "int8": _int8_linear,
    }
    return {name: max(_rate(make, shapes) for _ in range(3)) for name, make in makers.items()}


def _rate(make: Callable[[int, int], Callable[[], Any]], shapes: Sequence[tuple[int, int]]) -> float:
    layers = [make(rows, columns) for rows, columns in shapes]
    operations = sum(2 * _ROWS * rows * columns for rows, columns in shapes)

    def work(_: int) -> int:
        rounds = 0
        while time.perf_counter() < end:
            for each in layers:
                each()
            rounds += 1
        return rounds

    for each in layers:
        each()
    cores = usable_cores()
    began = time.perf_counter()
    end = began + _MATMUL_S
    with ThreadPoolExecutor(cores) as pool:
        rounds = sum(pool.map(work, range(cores)))
    return rounds * operations / (time.perf_counter() - began) / 1e9


def _torch_linear(rows: int, columns: int, *, bf16: bool) -> Callable[[], Any]:
    import torch

    kind = torch.bfloat16 if bf16 else torch.float32
    layer = torch.nn.Linear(rows, columns).to(kind).requires_grad_(False)
    given = torch.randn(_ROWS, rows, dtype=kind)

    def run() -> Any:
        torch.set_num_threads(1)  # holds for the calling thread
        return layer(given)

    return run


def _int8_linear(rows: int, columns: int) -> Callable[[], Any]:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(7)
    constants = {
        "weight": random.integers(-63, 64, (rows, columns), dtype=np.int8),
        "scales": np.full(columns, 0.01, np.float32),
        "zeros": np.zeros(columns, np.int8),
    }
    node = helper.make_node("DynamicQuantizeMatMul", ["x", *constants], ["y"], domain="com.microsoft")
    graph = helper.make_graph(
        [node],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [_ROWS, rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [_ROWS, columns])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString(), options
    )
    given = random.standard_normal((_ROWS, rows), dtype=np.float32)
    return lambda: session.run(None, {"x": given})


@dataclass(frozen=True, slots=True)
class Encoded:
    """A corpus and its queries as one backend encodes them."""

    documents: Vectors
    queries: Vectors


class Encoder(Protocol):
    """What encodes documents and queries."""

    def encode_documents(self, texts: Sequence[str], /) -> Vectors: ...

    def encode_query(self, text: str, /) -> Vectors: ...


class SciFact:
    """Abstracts, test claims and judgements, in the BEIR layout.

    `limit`: only so many abstracts, those that are relevant to a claim before others.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.relevant: dict[str, dict[str, int]] = {}
        for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
            query, document, grade = line.split("\t")
            if int(grade) > 0:
                self.relevant.setdefault(query, {})[document] = int(grade)
        wanted = set[str]().union(*self.relevant.values())
        corpus = sorted(_lines(folder / "corpus.jsonl"), key=lambda each: each["_id"] not in wanted)[:limit]
        self.ids = [each["_id"] for each in corpus]
        self.texts = [f"{each['title']} {each['text']}" for each in corpus]
        self.queries = [each for each in _lines(folder / "queries.jsonl") if each["_id"] in self.relevant]

    def encode(self, encoder: Encoder) -> Encoded:
        """Every abstract and every claim."""
        queries = np.stack([encoder.encode_query(each["text"]) for each in self.queries])
        return Encoded(encoder.encode_documents(self.texts), queries)

    def ndcg(self, documents: Vectors, queries: Vectors) -> float:
        """Mean nDCG@10: sum of grade / log2(rank + 1) over the best possible sum (Järvelin and Kekäläinen, 2002)."""
        scores = queries @ documents.T
        each_query = []
        for query, row in zip(self.queries, scores, strict=True):
            grades = self.relevant[query["_id"]]
            best = [self.ids[at] for at in np.argsort(-row, kind="stable")[:DEPTH]]
            found = sum(grades.get(name, 0) / math.log2(rank + 2) for rank, name in enumerate(best))
            ideal = sorted(grades.values(), reverse=True)[:DEPTH]
            each_query.append(found / sum(grade / math.log2(rank + 2) for rank, grade in enumerate(ideal)))
        return statistics.fmean(each_query)


def mean_flops(model: str, encoder: LocalEncoder, texts: Sequence[str]) -> float:
    """Mean of `flops` over the texts, each at its own length."""
    config = ModelFolder(model).config
    return statistics.fmean(flops(config, count) for count in encoder.token_counts(texts))


def _lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
