#!/usr/bin/env bash
# The wheel in a clean environment, away from the checkout: it installs with what it asks for, and `librarian doctor`
# and a small ingest and search work there.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$root/.venv/bin/python" -m venv "$folder/venv"
pip="$folder/venv/bin/pip --quiet --disable-pip-version-check"
$pip install --no-deps --require-hashes -r "$root/requirements/service.txt"
$pip install -c "$root/requirements/constraints.txt" torch==2.13.0
$pip install --no-index "$root"/dist/librarian_rag-*.whl # --no-index: the locks already hold all that it asks for
cd "$folder"
unset PYTHONPATH
"$folder/venv/bin/python" - "$folder" <<'P'
import sys, librarian, rag, ingest, serve
wrong = [m.__file__ for m in (librarian, rag, ingest, serve) if not m.__file__.startswith(sys.argv[1])]
sys.exit(f"not from the wheel: {wrong}" if wrong else 0)
P
"$folder/venv/bin/librarian" doctor
mkdir documents
printf '# Tea\n\nGreen tea is brewed at 80 degrees for two minutes.\n' >documents/tea.md
"$folder/venv/bin/librarian" ingest documents
# To a file first: `grep -q` leaves at its first match, and a command that still writes then ends with an error.
"$folder/venv/bin/librarian" search "how hot should the water be for green tea" >found.txt
grep -q tea.md found.txt || { cat found.txt; echo "tea.md was not found"; exit 1; }
echo "the wheel works in a clean environment"
