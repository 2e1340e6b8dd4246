"""`librarian eval answers`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from librarian import DataDir, Json, LlmUrl, QdrantUrl, Set

if TYPE_CHECKING:
    from eval.answers.questions import Questions
    from rag.settings import Settings


def answers(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="As for `eval retrieval`, with gold answers in queries.jsonl.")
    ],
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", metavar="FILE.toml", help="Settings to evaluate; several are compared."),
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="Which judgements: qrels/SPLIT.tsv; none: test.")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Only so many questions, the first of each kind.")
    ] = None,
    remove_gold: Annotated[
        float,
        typer.Option("--remove-gold", min=0, max=1, help="Share of questions whose relevant documents are hidden."),
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="Which questions --remove-gold takes.")] = 0,
    retrieval_only: Annotated[
        bool, typer.Option("--retrieval-only", help="Measure abstention alone; no model is needed.")
    ] = False,
    collection: Annotated[
        str | None,
        typer.Option("--collection", "-c", help="Ask this collection, instead of indexing the documents."),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=256, help="Questions at once; latency is measured with 1.")
    ] = 1,
    judge_url: Annotated[
        str | None, typer.Option("--judge-url", help="OpenAI-compatible URL of a model that judges sentences, too.")
    ] = None,
    judge_model: Annotated[str | None, typer.Option("--judge-model", help="Its name; none: the first listed.")] = None,
    judge_key: Annotated[
        Path | None, typer.Option("--judge-key-file", metavar="FILE", help="File that holds its API key.")
    ] = None,
    judge_labels: Annotated[
        Path | None,
        typer.Option("--judge-labels", metavar="FILE.jsonl", help="People's verdicts, to be agreed with."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where answers and report go; goes on there.")
    ] = None,
    llm_url: LlmUrl = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Measure answers: right, cited, grounded, and 'I don't know' where there is no answer.

    The documents are ingested as yours are; the configured chat model answers.

      librarian eval answers mine --out report

      librarian eval answers mine --remove-gold 0.5 --retrieval-only
    """
    import json

    from eval.answers.evaluation import Wanted, evaluate_answers
    from eval.answers.judging import read_labels
    from eval.answers.questions import open_questions
    from eval.answers.report import print_answers, to_json, write_all
    from eval.configurations import configurations
    from eval.printing import print_warnings
    from eval.progress import shown_progress
    from librarian import open_ingestor

    flags = {"data_dir": data_dir, "qdrant_url": qdrant_url, "llm_url": llm_url}
    found = configurations(config or [], set_ or [], flags)
    questions = open_questions(dataset, split, remove_gold, seed)
    questions = questions.first(limit) if limit else questions
    judge = _judge_settings(found[0].settings, judge_url, judge_model, judge_key)
    labels = read_labels(judge_labels) if judge_labels else []
    folder = out or _default_folder(found[0].settings.data_dir, questions)
    wanted = Wanted(
        questions, found, folder, collection or questions.dataset.collection, retrieval_only, concurrency, judge, labels
    )
    with shown_progress(json_) as show:
        try:
            answered = evaluate_answers(wanted, open_ingestor, show)
        except KeyboardInterrupt:
            import sys

            print(f"eval: stopped; the same command with --out {folder} goes on.", file=sys.stderr)
            raise
    write_all(folder, answered, questions)
    print_warnings(answered.warnings)
    if json_:
        print(json.dumps(to_json(answered), indent=2, ensure_ascii=False))
    else:
        print_answers(answered, questions, folder)


def _judge_settings(settings: Settings, url: str | None, model: str | None, key: Path | None) -> Settings | None:
    """Settings with the judge in the chat model's place; the chat model's own key goes to no other server."""
    from pydantic import SecretStr

    from rag.errors import BadInput

    if url is None:
        if model or key:
            raise BadInput("--judge-model and --judge-key-file say more of a judge that --judge-url names.")
        return None
    if not url.startswith(("http://", "https://")):
        raise BadInput(f"--judge-url '{url}' must start with http:// or https://.")
    url = url.rstrip("/")
    try:
        secret = SecretStr(key.read_text(encoding="utf-8").strip()) if key else None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{key} cannot be read as a key: {error}.") from None
    if secret is None and url == settings.llm_url:
        secret = settings.llm_api_key
    changed = {"llm_url": url, "llm_model": model, "llm_api_key": secret, "llm_tokenizer": None}
    return settings.model_copy(update={**changed, "llm_context_tokens": None, "frequency_penalty": 0.0})


def _default_folder(data_dir: Path, questions: Questions) -> Path:
    from eval.writing import default_folder

    folder = default_folder(data_dir, questions.dataset)
    return folder.with_name(f"{folder.name}-answers")
