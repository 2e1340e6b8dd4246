"""The local engine and the API as one thing to start and stop: what `librarian up` does."""

from __future__ import annotations

import asyncio
import threading
import time

from rag.errors import BadInput, EngineError, IndexLocked, LibrarianError
from rag.index import holder
from rag.settings import Loaded, Settings
from serve import asking
from serve.access import check_exposure
from serve.engine.process import Engine
from serve.engine.run import STOP_GRACE_S, build_engine, progress_lines, signals_interrupt, signals_wait
from serve.server import OpenIngestor, Server, base_url, bind, run_server
from serve.terminal import print_answer

WATCH_S = 0.5


def for_a_terminal(loaded: Loaded) -> Settings:
    """The settings, with a log line for each answer only where a log level was asked for: answers stream here too."""
    if "log_level" in loaded.sources:
        return loaded.settings
    return loaded.settings.model_copy(update={"log_level": "warning"})


def run_together(
    settings: Settings, question: str | None = None, once: bool = False, open_ingestor: OpenIngestor | None = None
) -> None:
    """Start the engine (unless a model URL is set), then serve until SIGINT, SIGTERM or the engine's death.

    `question` is asked once all runs, its answer streamed to stdout; with `once` everything stops after it. What can
    fail is tried before the engine's slow start. Raises EngineError and what `run_server` raises.
    """
    check_exposure(settings)
    if once and not question:
        raise BadInput('--once needs a question: --ask "…".')
    if not settings.qdrant_url and (held := holder(settings)):
        raise IndexLocked(f"the index in {settings.index_dir} is in use by {held}; stop that first.")
    watch = _Watch(settings, question, once)
    with bind(settings) as listening:
        engine = None
        try:
            with signals_interrupt():
                if not settings.llm_url:
                    engine = build_engine(settings, _say)
                    began = time.monotonic()
                    engine.start(progress_lines(_say))
                    _say(f"the model is ready after {time.monotonic() - began:.0f} s: {engine.url}")
                    watch.engine = engine
                _say("loading the encoder")
            run_server(settings, listening, watch.begin, open_ingestor)
        except KeyboardInterrupt:
            _say("stopping")
        finally:
            watch.done.set()
            with signals_wait():
                if engine is not None:
                    engine.stop(STOP_GRACE_S)
    if watch.error:
        raise watch.error


class _Watch:
    """What goes on beside the server: looking after the engine, and asking the one question."""

    def __init__(self, settings: Settings, question: str | None, once: bool) -> None:
        self._settings = settings
        self._question = question
        self._once = once
        self.engine: Engine | None = None
        self.error: LibrarianError | None = None
        self.done = threading.Event()

    def begin(self, server: Server) -> None:
        """Called when the API serves."""
        threading.Thread(target=self._look_after, args=(server,), daemon=True).start()
        if self._question:
            threading.Thread(target=self._ask, args=(self._question, server), daemon=True).start()

    def _look_after(self, server: Server) -> None:
        while self.engine is not None and not self.done.wait(WATCH_S):
            try:
                self.engine.check()
            except EngineError as error:
                self.error = error
                server.should_exit = True
                return

    def _ask(self, question: str, server: Server) -> None:
        print(f"\n> {question}\n", flush=True)
        settings = self._settings.model_copy(update={"api_url": base_url(self._settings)})
        try:
            asyncio.run(print_answer(asking.ask(settings, question, None)))
        except LibrarianError as error:
            self.error = error if self._once else None
            print(f"the question could not be answered: {error}", flush=True)
        finally:
            server.should_exit = server.should_exit or self._once
        if not self._once:
            print(f'\nAsk more:  {settings.api_url} in a browser   or   librarian ask "…"', flush=True)


def _say(line: str) -> None:
    print(f"up: {line}", flush=True)
