"""Ingestion end to end against the encoder alone and against its peers: chunks per second, in one run.

    python benchmarks/ingest.py [--chunks 5000] [--peer-chunks 5000] [--planning-files 100000] [--skip NAME]…
                                [--json FILE]

All paths get the same chunks: pages of ../shared/data/kubernetes, drawn by a seed, cut by Librarian's chunker, with the
same model (all-MiniLM-L6-v2), on this machine's CPU, one after the other. Every model is loaded and has encoded
something before its clock starts, and all start with an empty store.

    the encoder alone   Librarian's default backend over all texts at once, sorted by length: the ceiling. It runs
                        before and after Librarian, and the two are joined, so that a machine that slows down
                        flatters neither.
    Librarian           `IngestJob.run` over the folder of pages: starting worker processes, listing, reading, parsing,
                        cutting, encoding, dense and sparse vectors into the embedded index. The peers are handed the
                        chunks' texts and do none of the first five, nor sparse vectors.
    LangChain           HuggingFaceEmbeddings (see ingest_langchain.py) and QdrantVectorStore.add_documents, defaults:
                        fp32, 64 documents a call, 32 texts a batch, qdrant-client's local mode in a folder.
    LlamaIndex          VectorStoreIndex over HuggingFaceEmbedding and QdrantVectorStore, defaults, the same store.
    Haystack            SentenceTransformersDocumentEmbedder and DocumentWriter into QdrantDocumentStore, likewise.

The last two run in an environment of their own (benchmarks/peers.sh makes it) and are left out, saying so, without it.
`--peer-chunks` gives the peers so many of the chunks only, evenly drawn; their rates are compared all the same, their
nDCG is not measured then. Retrieval quality is nDCG@10 over the queries that the pages answer, a page standing where
the best of its chunks does: "dense" is one leg with 100 candidates for both, "hybrid" is what Librarian serves.

Then a re-run with nothing changed: `--planning-files` small local files are indexed with instant vectors (so that it
takes minutes) and the job is run again three times, each time with the index opened anew.

The folders lie under TMPDIR: on a disk in memory the peers' store looks better than on a real one.
"""

from __future__ import annotations

import sys
from pathlib import Path

# This file is called as the package is: the package's folder must come before this one.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ingest_running import main

if __name__ == "__main__":
    sys.exit(main())
