"""What tests of tuning share: a tiny encoder, and pairs that it can learn."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from rag.encoders.folder import find_folder
from rag.tuning.pairs import Candidate, HeldOut, Pair, PairsCard, PairSet, write_pairs

# Each topic's question shares no word with its answer: only learning joins them.
TOPICS = ("coffee", "granite", "violin", "harbour", "glacier", "lantern", "orchid", "falcon")
ANSWERS = ("espresso", "boulder", "strings", "ships", "frozen", "flame", "petals", "feathers")
FILLER = ("about", "some", "more", "often", "where", "again", "still", "never", "always", "perhaps")


def tiny_encoder(folder: Path, **prompts: str) -> Path:
    """A random two-layer encoder of 32 dimensions, saved as sentence-transformers saves one."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    torch.manual_seed(7)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config: dict[str, Any] = {**sizes, "vocab_size": 30522, "max_position_embeddings": 80}
    raw = folder / "raw"
    AutoModel.from_config(AutoConfig.for_model("bert", **config)).save_pretrained(raw)
    AutoTokenizer.from_pretrained(find_folder("minilm"), local_files_only=True).save_pretrained(raw)
    steps = [Transformer(str(raw), max_seq_length=64), Pooling(32, "mean"), Normalize()]
    SentenceTransformer(modules=steps, device="cpu", prompts=prompts or None).save(str(folder / "model"))
    return folder / "model"


def toy_pairs(folder: Path, count: int = 48, easy: bool = False) -> PairSet:
    """Questions by topic, each with its topic's answer and another's as hard negative; one of a topic is held out.

    `easy`: negatives can be told by a word of their own, whatever the question.
    """
    draw = Random(3)

    def passage(topic: int) -> str:
        return f"{ANSWERS[topic]} {' '.join(draw.sample(FILLER, 3))}"

    def question(topic: int) -> str:
        return f"{TOPICS[topic]} {' '.join(draw.sample(FILLER, 2))}"

    def negative(topic: int) -> str:
        return f"nothing {' '.join(draw.sample(FILLER, 3))}" if easy else passage((topic + 1) % len(TOPICS))

    topics = [number % len(TOPICS) for number in range(count)]
    pairs = [
        Pair(question(each), passage(each), (negative(each),), f"{number}.md", "qrels")
        for number, each in enumerate(topics)
    ]
    pool = tuple(Candidate(f"held-{each}.md", passage(each)) for each in range(len(TOPICS)))
    held_out = [HeldOut(question(each), (f"held-{each}.md",), pool, "qrels") for each in range(len(TOPICS))]
    card = PairsCard("toys", "", "", 0, 0, {}, 0, 0.1, 0.05, 1, {})
    return write_pairs(folder, pairs, held_out, card)
