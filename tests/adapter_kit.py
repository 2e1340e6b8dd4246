"""A chat model small enough to train in a test, and a folder of questions to train it on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ARTICLES = ("Warsaw", "Oxygen", "Kenya", "Normans", "Pharmacy")


def question_folder(folder: Path) -> Path:
    """Five articles of two texts; each text answers one question, in its second sentence."""
    corpus, queries, qrels = [], [], ["query-id\tcorpus-id\tscore"]
    for article in ARTICLES:
        for part in (0, 1):
            name = f"{article}#{part}"
            first = f"{article} is what part {part} of this article is about. "
            text = f"{first}The colour of {article} {part} is shade{article}{part}. Nothing else is said here."
            corpus.append({"_id": name, "title": article, "text": text})
            answer = f"shade{article}{part}"
            span = {"text": answer, "answer_start": text.index(answer)}
            question = f"What is the colour of {article} {part}?"
            queries.append({"_id": f"q-{name}", "text": question, "metadata": {"answers": [span]}})
            qrels.append(f"q-{name}\t{name}\t1")
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text("".join(json.dumps(each) + "\n" for each in corpus))
    (folder / "queries.jsonl").write_text("".join(json.dumps(each) + "\n" for each in queries))
    (folder / "qrels" / "train.tsv").write_text("\n".join(qrels) + "\n")
    return folder


def tiny_tokenizer() -> Any:
    """Byte-level tokens and the two that mark a turn: reads any text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {each: number for number, each in enumerate(["<|im_start|>", "<|im_end|>", *alphabet])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def tiny_model(seed: int = 0) -> Any:
    """A Llama of two layers with fresh weights, the same for the same seed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=258,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return LlamaForCausalLM(config)


def model_folder(folder: Path) -> Path:
    """The model and its tokenizer as a folder that a setting can name."""
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
