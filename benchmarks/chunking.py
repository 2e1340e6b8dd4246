"""What retrieval finds of the answers' exact words: Librarian's chunker beside LangChain's recursive splitter.

    .venv/bin/python benchmarks/chunking.py --data ../shared/data/chunking

The data, 472 questions on five corpora with the spans that answer them, and the measures are those of "Evaluating
Chunking Strategies for Retrieval" (Smith and Troynikov, Chroma, 2024), counted in characters. For a question with the
gold characters G (a union of spans) and k = 5 passages:

    found      characters of G that are in at least one passage
    retrieved  sum of the passages' lengths, so what two overlapping passages share counts twice; passages from other
               corpora count here and are found nowhere
    recall     found / |G|
    precision  found / retrieved
    IoU        found / (retrieved + |G| - found)

Each corpus is one text. The chunks of all five stand in one collection, as in the report, and a question is asked of
all of it: dense retrieval by cosine, every chunk compared, no keywords, nothing reranked. Means are over questions.

All rows of one run are encoded by the same encoder, the service's default. The recursive splitter encodes what it
shows. Librarian's chunker gets the corpora as Markdown without a title: their file names would say nothing, or too
much.

"-b +a" after a chunk size: small chunks are searched, and each of the five passages is a hit with b chunks before and a
after it. "where S": at most so many, while they fit the question too; rag/reach.py says how, S is the share. One index
serves all of these rows. A hit that an earlier passage holds is passed over, so passages never overlap. The peers are
the recursive splitter's chunks as they are; a few "control" rows join them in the same way, and say how much of a gain
is the joining's and how much the chunker's.

"Ahead" of a peer means: a higher IoU at an equal or higher recall, on the mean. The differences are given with their
standard error over the questions, paired: what is smaller than twice that may be chance.

How the chunker cuts, and how far a passage reaches by default (-2 +2 where .8), were chosen on state_of_the_union,
wikitexts and chatlogs; finance and pubmed, 86% of the text, were only looked at afterwards. The sizes and the other
joins that the table shows were chosen with all five in sight.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

# A benchmark beside this one is called as the package `ingest` is: the package's folder must come first.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from chunking_scoring import Piece, Question, Scores, joined, load, mean, score
from rich.console import Console
from rich.markdown import Markdown

from ingest.chunking import chunk
from rag.encoders import DenseEncoder, Vectors, dense_encoder
from rag.reach import Reach
from rag.schema import Document
from rag.settings import Settings

TOP = 5
# Most chunks before and after a hit, and the share of the best cosine that they must come to (0: none).
Join = tuple[int, int, float]
Joins = Sequence[Join]
Kind = Literal["ours", "peer", "control"]
# As many hits as a search takes from a leg by default, more than any row needs to fill its passages.
_RANKED = Settings().candidates
ALONE: Join = (0, 0, 0)
# By the tokens of a chunk at most.
OURS: Mapping[int, Joins] = {
    64: (ALONE, (1, 1, 0), (2, 2, 0.75), (2, 2, 0.8), (2, 2, 0.9)),
    96: (ALONE, (0, 1, 0), (1, 1, 0), (2, 2, 0.75), (2, 2, 0.8), (2, 2, 0.85)),
    128: (ALONE, (0, 1, 0), (2, 2, 0.8)),
    256: (ALONE,),
}
PEERS = ((250, 0), (800, 0), (1200, 0), (800, 200))
CONTROLS: Mapping[tuple[int, int], Joins] = {
    (250, 0): ((1, 1, 0), (2, 2, 0.75)),
    (400, 0): (ALONE, (0, 1, 0), (2, 2, 0.8)),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One way to cut and to answer.

    `corpora` holds each corpus' means, `whole` those over all questions, `each` the questions one by one.
    """

    name: str
    kind: Kind
    chunks: int
    chunk_characters: float
    cut_s: float
    encode_s: float
    corpora: Mapping[str, Scores]
    whole: Scores
    each: Sequence[Scores]

    def ahead_of(self, peer: Row) -> bool:
        """Whether more precise, with nothing given up for it."""
        return self.whole.iou > peer.whole.iou and self.whole.recall >= peer.whole.recall


def main() -> int:
    """Run everything; 1 where a peer has nothing of ours ahead of it."""
    arguments = _arguments()
    corpora, questions = load(arguments.data)
    encoder = dense_encoder(Settings(encoder=arguments.encoder))
    rows = _measure(corpora, questions, encoder)
    text = to_markdown(rows, getattr(encoder, "backend", arguments.encoder))
    if arguments.markdown or not sys.stdout.isatty():
        print(text)
    else:
        Console().print(Markdown(text))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in rows]) + "\n", encoding="utf-8")
    peers = [each for each in rows if each.kind == "peer"]
    return 0 if all(any(row.kind == "ours" and row.ahead_of(peer) for row in rows) for peer in peers) else 1


def _measure(corpora: Mapping[str, str], questions: Sequence[Question], encoder: DenseEncoder) -> list[Row]:
    asked = np.stack([encoder.encode_query(each.text) for each in questions])
    rows = []
    for kind, sizes in (("peer", dict.fromkeys(PEERS, (ALONE,))), ("control", CONTROLS)):
        for (size, overlap), joins in sizes.items():
            name = f"recursive {size:,}" + (f", overlap {overlap}" if overlap else "")
            cut = partial(recursive, corpora, size, overlap)
            rows += _rows(name, kind, cut, questions, asked, encoder, joins)
    for tokens, joins in OURS.items():
        cut = partial(librarian, corpora, encoder, tokens)
        rows += _rows(f"Librarian {tokens}", "ours", cut, questions, asked, encoder, joins)
    return rows


def _rows(
    name: str,
    kind: Kind,
    cut: Callable[[], list[Piece]],
    questions: Sequence[Question],
    asked: Vectors,
    encoder: DenseEncoder,
    joins: Joins,
) -> list[Row]:
    started = time.perf_counter()
    pieces = cut()
    ready = time.perf_counter()
    vectors = encoder.encode_documents([each.embedded for each in pieces])
    done = time.perf_counter()
    print(f"{name}: {len(pieces):,} chunks, encoded in {done - ready:.0f} s", file=sys.stderr)
    cosines = asked @ vectors.T
    rankings = np.argsort(-cosines, axis=1, kind="stable")[:, :_RANKED]
    known = [{str(each): float(row[each]) for each in ranking} for row, ranking in zip(cosines, rankings, strict=True)]
    rows = []
    for join in joins:
        scores = [
            score(question, joined(ranking.tolist(), pieces, TOP, Reach(*join, near)))
            for question, ranking, near in zip(questions, rankings, known, strict=True)
        ]
        names = sorted({each.corpus for each in questions})
        rows.append(
            Row(
                f"{name}{_suffix(join)}",
                kind,
                len(pieces),
                float(np.mean([each.end - each.start for each in pieces])),
                ready - started,
                done - ready,
                {
                    corpus: mean([each for each, q in zip(scores, questions, strict=True) if q.corpus == corpus])
                    for corpus in names
                },
                mean(scores),
                scores,
            )
        )
    return rows


def _suffix(join: Join) -> str:
    before, after, share = join
    if not (before or after):
        return ""
    return f" -{before} +{after}" + (f" where {share:g}".replace("0.", ".") if share else "")


def librarian(corpora: Mapping[str, str], encoder: DenseEncoder, tokens: int) -> list[Piece]:
    """Librarian's chunks of at most so many tokens."""
    return [
        Piece(name, each.chunk.start, each.chunk.end, each.embedded)
        for name, text in corpora.items()
        for each in chunk(Document(name, name, "", text, ""), encoder, tokens)
    ]


def recursive(corpora: Mapping[str, str], size: int, overlap: int) -> list[Piece]:
    """LangChain's RecursiveCharacterTextSplitter with its default separators; sizes in characters."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=overlap, add_start_index=True)
    return [
        Piece(name, start := each.metadata["start_index"], start + len(each.page_content), each.page_content)
        for name, text in corpora.items()
        for each in splitter.create_documents([text])
    ]


def to_markdown(rows: Sequence[Row], backend: str) -> str:
    """The table and who is ahead of whom."""
    corpora = list(rows[0].corpora)
    lines = [
        f"Recall / precision / IoU of characters, {TOP} passages, encoder minilm ({backend})",
        "",
        f"| chunker | chunks | passage, characters | {' | '.join(corpora)} | mean |",
        "| --- | ---: | ---: |" + " ---: |" * (len(corpora) + 1),
    ]
    for row in rows:
        cells = " | ".join(_cell(each) for each in (*row.corpora.values(), row.whole))
        name = f"{row.name} (control)" if row.kind == "control" else row.name
        lines.append(f"| {name} | {row.chunks:,} | {row.whole.characters / TOP:.0f} | {cells} |")
    lines.append("")
    for peer in (each for each in rows if each.kind != "ours"):
        ahead = [each for each in rows if each.kind == "ours" and each.ahead_of(peer)]
        lines.append(f"- ahead of {peer.name}: {'; '.join(_against(each, peer) for each in ahead) or 'none'}")
    return "\n".join(lines)


def _cell(scores: Scores) -> str:
    return " / ".join(f"{value:.3f}".lstrip("0") for value in (scores.recall, scores.precision, scores.iou))


def _against(row: Row, peer: Row) -> str:
    corpora = [
        name
        for name, scores in row.corpora.items()
        if scores.iou > peer.corpora[name].iou and scores.recall >= peer.corpora[name].recall
    ]
    iou = _difference([mine.iou - theirs.iou for mine, theirs in zip(row.each, peer.each, strict=True)])
    recall = _difference([mine.recall - theirs.recall for mine, theirs in zip(row.each, peer.each, strict=True)])
    return (
        f"{row.name} (IoU {row.whole.iou / peer.whole.iou:.2f}x, {iou}; recall {recall}; "
        f"alone ahead on {', '.join(corpora) or 'no corpus'})"
    )


def _difference(values: Sequence[float]) -> str:
    """The mean of paired differences and its standard error."""
    return f"{np.mean(values):+.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Score the chunker beside LangChain's recursive splitter.")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(__file__).resolve().parents[2] / "shared" / "data" / "chunking",
        help="folder with questions_df.csv and corpora/ (default: ../shared/data/chunking beside the checkout)",
    )
    parser.add_argument("--encoder", default="minilm", help="embedding model (default: minilm)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE")
    parser.add_argument("--markdown", action="store_true", help="print Markdown as it is, for pasting")
    arguments = parser.parse_args()
    if not (arguments.data / "questions_df.csv").is_file():
        parser.error(f"{arguments.data} holds no questions_df.csv; name the data's folder with --data")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
