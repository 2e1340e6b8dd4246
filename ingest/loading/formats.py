"""Which loader reads which file: by the suffix of its name, or by the whole name where it has none."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import cast

from ingest.loading.errors import Unsupported
from ingest.loading.interface import Limits, Loaded, Loader

MARKDOWN = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"})
TEXT = frozenset({".txt", ".text", ".log", ".tex", ".srt", ".vtt"})
HTML = frozenset({".html", ".htm", ".xhtml"})
CODE = frozenset((
    ".asm", ".awk", ".bash", ".bat", ".bzl", ".c", ".cc", ".cfg", ".clj", ".cljs", ".cmake", ".cmd", ".conf", ".cpp",
    ".cs", ".css", ".cu", ".cxx", ".d", ".dart", ".diff", ".ex", ".exs", ".elm", ".erl", ".f", ".f90", ".fish",
    ".fs", ".go", ".gradle", ".graphql", ".groovy", ".h", ".hcl", ".hpp", ".hrl", ".hs", ".hxx", ".ini", ".ino",
    ".java", ".jl", ".js", ".json5", ".jsonc", ".jsx", ".kt", ".kts", ".less", ".lisp", ".lua", ".m", ".make",
    ".mjs", ".mk", ".ml", ".mli", ".mm", ".nim", ".nix", ".patch", ".php", ".pl", ".pm", ".properties", ".proto",
    ".ps1", ".psm1", ".py", ".pyi", ".pyx", ".r", ".rake", ".rb", ".rego", ".rs", ".sass", ".scala", ".scm", ".scss",
    ".sh", ".sol", ".sql", ".svelte", ".swift", ".tcl", ".tf", ".tfvars", ".toml", ".ts", ".tsx", ".v", ".vb",
    ".vhd", ".vhdl", ".vim", ".vue", ".wat", ".xsl", ".xslt", ".yaml", ".yml", ".zig", ".zsh",
))  # fmt: skip
_DOCUMENTS = frozenset({".docx", ".docm", ".dotx", ".doc", ".odt", ".rtf", ".epub"})
_SLIDES = frozenset({".pptx", ".pptm", ".ppsx", ".ppt", ".odp"})
_SHEETS = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"})

# Loaders by module and function: a module is imported when its first document is read, with the libraries it needs.
_SUFFIXES: Mapping[str, str] = {
    **dict.fromkeys(MARKDOWN, "markdown:load_markdown"),
    **dict.fromkeys(TEXT, "plain:load_text"),
    **dict.fromkeys(CODE, "plain:load_code"),
    **dict.fromkeys((".rst", ".org", ".adoc", ".asciidoc"), "plain:load_markup"),
    **dict.fromkeys(HTML, "web:load_html"),
    **dict.fromkeys(_DOCUMENTS, "office:load_text_document"),
    **dict.fromkeys(_SLIDES, "office:load_slides"),
    **dict.fromkeys(_SHEETS, "office:load_sheets"),
    **dict.fromkeys((".csv", ".tsv", ".tab"), "delimited:load_delimited"),
    **dict.fromkeys((".json", ".geojson"), "structured:load_json"),
    **dict.fromkeys((".jsonl", ".ndjson"), "structured:load_json_lines"),
    **dict.fromkeys((".xml", ".rss", ".atom"), "xml:load_xml"),
    ".pdf": "pdf.reading:load_pdf",
    ".ipynb": "notebook:load_notebook",
    ".eml": "mail:load_eml",
    ".msg": "mail:load_msg",
}
_NAMES: Mapping[str, str] = {
    **dict.fromkeys(
        ("makefile", "gnumakefile", "dockerfile", "containerfile", "jenkinsfile", "vagrantfile", "rakefile", "gemfile",
         "procfile", "justfile", "cmakelists.txt", "go.mod", ".gitignore", ".dockerignore", ".editorconfig"),
        "plain:load_code",
    ),
    **dict.fromkeys(
        ("readme", "license", "licence", "copying", "notice", "authors", "contributors", "changelog", "changes", "news",
         "install", "todo", "codeowners"),
        "plain:load_text",
    ),
}  # fmt: skip

# Suffixes of the files that may be loaded.
SUPPORTED = frozenset(_SUFFIXES)
# What is read of a file attached to another: text only, so that nothing unpacks within something unpacked.
ATTACHED = MARKDOWN | TEXT | HTML | CODE | {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xml"}


def supports(name: str) -> bool:
    """Whether files of this name are read."""
    return _place(name) is not None


def loader_of(name: str) -> Loader:
    """The loader that reads files of this name. Raises Unsupported where none does."""
    place = _place(name)
    if place is None:
        kind = PurePosixPath(name).suffix.lower() or "none"
        raise Unsupported(f"files of type '{kind}' are not read.")
    module, _, function = place.partition(":")
    return cast(Loader, getattr(importlib.import_module(f"ingest.loading.{module}"), function))


def read_attachment(name: str, data: bytes, limits: Limits) -> Loaded:
    """The text of a file of a suffix in ATTACHED that another document holds."""
    return loader_of(name)(data, name, limits)


def _place(name: str) -> str | None:
    path = PurePosixPath(name.replace("\\", "/"))
    return _NAMES.get(path.name.lower()) or _SUFFIXES.get(path.suffix.lower())
