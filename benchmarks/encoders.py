"""Encoder backends side by side: speed, likeness to fp32, retrieval quality, memory; and the processor's limit.

    python benchmarks/encoders.py [--quick] [--chunks 5000] [--model minilm] [--skip torch-bf16] [--no-scifact]
                                  [--documents 1000] [--imitate-bf16] [--json FILE]

chunks/s    real chunks (pages of ../shared/data/kubernetes as Librarian cuts them), in three parts; each part goes
            through every backend before the next, and the best of the three counts. `plain` is what most programs
            call: sentence-transformers' encode() in fp32 with its defaults.
share       chunks/s times the floating-point operations of a chunk (`encoders_measuring.flops`) over the rate at
            which this processor multiplies matrices of the model's shapes in that arithmetic, measured before and
            after in the same run.
cosine      of each chunk's vector to its plain fp32 one: mean and least.
nDCG@10     SciFact, test claims, dense only: documents and queries by this backend, then its documents with plain
            fp32 queries and plain fp32 documents with its queries, since backends share a fingerprint.
first s     from an empty process to the first query's vector; query ms: the median of later ones; MiB: its peak RSS.

`--quick`: 300 chunks, no SciFact. `--skip torch-bf16` where the processor only imitates that arithmetic: it takes a
hundred times as long there. `--imitate-bf16` adds that row's likeness and nDCG there, from arithmetic in fp32 with
every number rounded (encoders_imitating.py), and no speed. `--documents N`: SciFact with N abstracts only, the relevant
ones among them, which makes nDCG higher, for every backend.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# This file is called as the package is: the package's folder must come before this one.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from encoders_imitating import ImitatedBf16
from encoders_measuring import Encoded, Encoder, SciFact, Vectors, matmul_rates, mean_flops, measure_alone, rates
from ingest_corpus import take_pages

from rag.encoders import LocalEncoder
from rag.encoders.folder import find_folder
from rag.encoders.interface import Backend
from rag.settings import Settings

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
BACKENDS: tuple[Backend, ...] = ("torch-fp32", "torch-bf16", "onnx-fp32", "onnx-int8")
PLAIN, IMITATED = "plain", "torch-bf16, imitated"
PARTS = 3


def main() -> int:
    """Measure, print the table, write JSON where asked."""
    given = _arguments()
    names = [each for each in BACKENDS if each not in given.skip]
    encoders = {each: LocalEncoder(given.model, device="cpu", backend=each) for each in names}
    texts = _chunks(encoders["onnx-fp32"], given.chunks)
    parts = [texts[number::PARTS] for number in range(PARTS)]
    calls: dict[str, Callable[[Sequence[str]], Vectors]] = {PLAIN: _plain(given.model)}
    calls |= {name: each.encode_documents for name, each in encoders.items()}
    for call in calls.values():
        call(texts[:8])
    config = json.loads((find_folder(given.model) / "config.json").read_text(encoding="utf-8"))
    before = matmul_rates(config)
    speed = rates(parts, calls)
    after = matmul_rates(config)
    limits = {name: max(before[name], after[name]) for name in before}
    work = mean_flops(given.model, encoders["onnx-fp32"], texts)
    sample = texts[:: max(1, len(texts) // 300)]
    reference = calls[PLAIN](sample)
    cosines: dict[str, Vectors] = {name: (calls[name](sample) * reference).sum(axis=1) for name in names}
    alone = {name: measure_alone(given.model, name) for name in names}
    judged: dict[str, Encoder] = dict(encoders)
    if given.imitate_bf16:
        judged[IMITATED] = ImitatedBf16(given.model)
        cosines[IMITATED] = (judged[IMITATED].encode_documents(sample) * reference).sum(axis=1)
    quality = {} if given.no_scifact else _quality(judged, calls[PLAIN], given.documents)

    print(f"{len(texts)} chunks, {work / 1e9:.2f} GFLOP each (matrix products alone)")
    for name, rate in limits.items():
        print(f"limit {name}: {rate:.0f} G operations/s, {rate * 1e9 / work:.0f} chunks/s")
    print(
        "| backend | chunks/s | to plain | share of limit | cosine mean, min | nDCG@10 | own docs, fp32 queries |",
        end="",
    )
    print(" fp32 docs, own queries | first s | query ms | MiB |")
    print("|---" * 11 + "|")
    rows: list[dict[str, Any]] = []
    for name, per_s in speed.items():
        kind = name.rpartition("-")[2] if name != PLAIN else "fp32"
        row: dict[str, Any] = {"backend": name, "chunks_per_s": per_s, "to_plain": per_s / speed[PLAIN]}
        row["share"] = per_s * work / (limits[kind] * 1e9)
        cells = [name, f"{per_s:.1f}", f"{row['to_plain']:.2f}", f"{row['share']:.0%}"]
        if name in cosines:
            row |= {"cosine_mean": float(cosines[name].mean()), "cosine_min": float(cosines[name].min())}
            cells.append(f"{row['cosine_mean']:.4f}, {row['cosine_min']:.4f}")
        else:
            cells.append("")
        row["ndcg"] = quality.get(name, [])
        cells += [f"{each:.4f}" for each in row["ndcg"]] + [""] * (3 - len(row["ndcg"]))
        if name in alone:
            one = alone[name]
            row |= {"first_s": one.first_s, "query_ms": one.query_ms, "peak_mib": one.peak_mib}
            cells += [f"{one.first_s:.1f}", f"{one.query_ms:.1f}", f"{one.peak_mib:.0f}"]
        else:
            cells += [""] * 3
        print("| " + " | ".join(cells) + " |")
        rows.append(row)
    if given.imitate_bf16:
        near, ndcg = cosines[IMITATED], quality.get(IMITATED, [])
        shown = ", ".join(f"{each:.4f}" for each in ndcg)
        print(f"{IMITATED}: cosine {near.mean():.4f}, {near.min():.4f}; nDCG@10 {shown}")
        rows.append({"backend": IMITATED, "cosine_mean": float(near.mean()), "ndcg": ndcg})
    if given.json:
        found = {"chunks": len(texts), "gflop_per_chunk": work / 1e9, "limits_gops": limits, "rows": rows}
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--chunks", type=int, default=5000)
    parser.add_argument("--model", default="minilm", help="minilm or a folder")
    parser.add_argument("--quick", action="store_true", help="300 chunks, no SciFact")
    parser.add_argument("--skip", action="append", default=[], choices=["torch-fp32", "torch-bf16", "onnx-int8"])
    parser.add_argument("--no-scifact", action="store_true")
    parser.add_argument("--documents", type=int, help="only so many abstracts of SciFact, relevant ones first")
    parser.add_argument(
        "--imitate-bf16", action="store_true", help="likeness and nDCG of bf16, without the processor's"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.quick:
        given.chunks, given.no_scifact = min(given.chunks, 300), True
    if not DATA.is_dir():
        parser.error(f"{DATA} is not there: the chunks and SciFact are read from it.")
    return given


def _chunks(encoder: LocalEncoder, count: int) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        pages = DATA / "kubernetes" / "pages"
        return take_pages(pages, Path(folder), encoder, Settings(), min(encoder.max_tokens, 256), count).texts[:count]


def _plain(model: str) -> Callable[[Sequence[str]], Vectors]:
    from sentence_transformers import SentenceTransformer

    loaded = SentenceTransformer(str(find_folder(model)), device="cpu", local_files_only=True)

    def encode(texts: Sequence[str]) -> Vectors:
        vectors = loaded.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, np.float32)

    return encode


def _quality(
    encoders: Mapping[str, Encoder], plain: Callable[[Sequence[str]], Vectors], documents: int | None
) -> dict[str, list[float]]:
    data = SciFact(DATA / "scifact", documents)
    reference = Encoded(plain(data.texts), plain([each["text"] for each in data.queries]))
    found = {PLAIN: [data.ndcg(reference.documents, reference.queries)]}
    for name, encoder in encoders.items():
        own = data.encode(encoder)
        pairs = [(own, own), (own, reference), (reference, own)]
        found[name] = [data.ndcg(first.documents, second.queries) for first, second in pairs]
    return found


if __name__ == "__main__":
    sys.exit(main())
