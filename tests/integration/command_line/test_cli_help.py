"""What `librarian --help` says and costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import librarian
from tests.integration.command_line.running import COMMANDS, environment, run


class TestHelp:
    def test_help_imports_nothing_heavy(self, tmp_path: Path) -> None:
        script = """
import sys, time
started = time.process_time()
import librarian
for arguments in [["--help"], []] + [[name, "--help"] for name in sys.argv[1:]]:
    sys.argv[1:] = arguments
    try:
        librarian.main()
    except SystemExit as ended:
        print("code", ended.code)
print("seconds", time.process_time() - started, file=sys.stderr)
heavy = {"torch", "transformers", "sentence_transformers", "langchain_openai", "openai", "qdrant_client", "qdrant_edge",
         "fastapi", "uvicorn", "numpy", "httpx2", "yaml", "lxml", "bs4"}
print("heavy", sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
        done = subprocess.run(
            [sys.executable, "-c", script, *COMMANDS],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        print(done.stderr)
        assert done.stderr.splitlines()[-1] == "heavy []"
        assert done.stdout.count("code 0") == 1 + len(COMMANDS), "no command at all is the one that is not 0"
        for name in COMMANDS:
            assert f"Usage: librarian {name} " in done.stdout or f" {name} [OPTIONS]" in done.stdout

    def test_help_names_every_command_the_first_steps_and_the_exit_codes(self, tmp_path: Path) -> None:
        ran = run(tmp_path, "--help")
        assert (ran.code, ran.err) == (0, "")
        for part in (*COMMANDS, "librarian ingest FOLDER", "Exit codes"):
            assert part in " ".join(ran.out.split())

    def test_every_option_says_what_it_is_for(self) -> None:
        from typer.main import get_command

        group = get_command(librarian.build())
        for name, command in group.commands.items():  # type: ignore[attr-defined]
            assert command.help, name
            assert [each.name for each in command.params if not getattr(each, "help", None)] == [], name

    def test_an_unknown_command_is_bad_input(self, tmp_path: Path) -> None:
        ran = run(tmp_path, "serch", "probe")
        assert ran.code == 2
        assert "serch" in ran.err
        assert "Traceback" not in ran.err
