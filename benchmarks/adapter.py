"""The packaged adapter: trained, measured on held-out articles beside the bare model, and put into the package.

    python benchmarks/adapter.py [--name smollm2-grounded] [--data-dir .librarian] [--ship]

It learns from xquad (13 of its 22 articles), from questions about this project's own pages (adapter_questions.tsv; the
demo's question is not among them) and Kubernetes' (adapter_kubernetes.tsv), and from the chunking corpora. The other 9
articles of xquad, and 15% of Kubernetes' pages, are asked at the end, of the bare model and with the adapter, in the
same prompts; 30% of their questions without the passage that answers.

It is trained three times: with short prompts, with long ones, and with long ones of manuals among them. A run that was
killed is gone on with by the same command. `--ship` copies what was made into rag/tuning/adapters.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path

# This file is called as the package is: the package's folder must come before this one.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from adapter_data import corpora_folder, kubernetes_folders, pages_folder

from eval.tune.adapter import Order, make_adapter
from rag.settings import Settings, load
from rag.tuning.adapter.examples import Shape
from rag.tuning.adapter.packaged import FOLDER, NAME
from rag.tuning.adapter.preparing import Plan
from rag.tuning.adapter.training import Recipe
from rag.tuning.registry import Registry

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
MOST_BYTES = 25_000_000
DATA_LICENCE = (
    "xquad: CC BY-SA 4.0 (google-deepmind/xquad, from Wikipedia); chunking_evaluation: MIT (wikitexts: CC BY-SA, State "
    "of the Union: public domain); kubernetes.io: CC BY 4.0 (The Kubernetes Authors), asked about with the help "
    "of a large language model; Librarian's pages: Apache-2.0"
)
LICENCE = "cc-by-sa-4.0"

# First few and short passages, which costs little; then as many and as long ones as serving gives, fewer of them
# without an answer: a model that has learnt to abstain does so too often. At last those of manuals as well: what has
# learnt from an encyclopedia alone abstains where a manual answers.
SHORT = Plan((), max_tokens=400, shape=Shape(passages=(1, 3), words=(25, 90)))
BRIEF = Recipe(layers=20, learning_rate=1e-3, warmup=8)
LONG = Plan((), rounds=1, max_tokens=900, shape=Shape(passages=(1, 5), words=(40, 130), unanswerable=0.2))
LONGER = Recipe(layers=20, learning_rate=5e-4, warmup=8)
MANUALS = replace(LONG, max_tokens=1000, shape=Shape(passages=(1, 5), words=(40, 150), unanswerable=0.25))
LAST = replace(LONGER, parts=4)


def main() -> int:
    """Make it, print what was measured, and ship it where asked."""
    given = _arguments()
    settings = load({"data_dir": given.data_dir}).settings
    registry = Registry.of(settings)
    if not (registry.folder / given.name).is_dir():
        _train(given, settings, registry)
    made = registry.get(given.name, "adapter")
    for each in made.card.metrics:
        before = "–" if each.before is None else f"{each.before:.3f}"
        interval = (
            "" if each.after_interval is None else f" [{each.after_interval[0]:.3f}, {each.after_interval[1]:.3f}]"
        )
        print(f"{each.data:18} {each.metric:26} {before:>6} → {each.after:.3f}{interval}  ({each.count})")
    size = sum(each.stat().st_size for each in made.folder.iterdir())
    print(f"{made.folder}: {size / 1e6:.1f} MB")
    if given.ship:
        if size > MOST_BYTES or given.name != NAME:
            print(f"not shipped: it must be called {NAME} and stay below {MOST_BYTES / 1e6:.0f} MB")
            return 1
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(made.folder, FOLDER)
        print(f"shipped to {FOLDER}")
    return 0


def _train(given: argparse.Namespace, settings: Settings, registry: Registry) -> None:
    """Train all three, each only where it is not there yet."""
    folders = registry.folder / ".questions"
    own, corpora, theirs, apart = (folders / each for each in ("pages", "corpora", "kubernetes", "kubernetes-apart"))
    here = Path(__file__)
    pages = pages_folder(own, ROOT / "docs", here.with_name("adapter_questions.tsv"))
    excerpts = corpora_folder(corpora, given.data / "chunking")
    manuals = kubernetes_folders(
        theirs, apart, given.data / "kubernetes" / "pages", here.with_name("adapter_kubernetes.tsv")
    )
    print(
        f"{pages} questions of the pages, {excerpts} of the corpora, {manuals[0]} and {manuals[1]} of Kubernetes' pages"
    )
    first, second = f"{given.name}-1", f"{given.name}-2"
    manuals_too = replace(MANUALS, whole=(own, corpora, theirs), apart=(apart,))
    for name, start, recipe, plan in (
        (first, None, BRIEF, replace(SHORT, whole=(own, corpora))),
        (second, first, LONGER, replace(LONG, whole=(own, corpora))),
        (given.name, second, LAST, manuals_too),
    ):
        if not (registry.folder / name).is_dir():
            plan = replace(plan, folders=(given.data / "xquad",))
            order = Order(name, plan, recipe, DATA_LICENCE, LICENCE, start)
            make_adapter(order, settings, lambda line: print(line, flush=True))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default=NAME, help="name in the registry")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with xquad/, kubernetes/ and chunking/")
    parser.add_argument("--data-dir", default=".librarian", help="folder of models and registry")
    parser.add_argument("--ship", action="store_true", help="copy it into the package")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
