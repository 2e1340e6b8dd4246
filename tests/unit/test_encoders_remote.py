"""An encoder behind a URL: what a server may do wrong, each in turn, over real HTTP on this machine."""

from __future__ import annotations

import email.utils
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from rag import encoders
from rag.encoders import identity, remote, same_encoder
from rag.encoders.fingerprints import PROBES
from rag.encoders.folder import find_folder
from rag.encoders.remote import RemoteEncoder
from rag.errors import EncoderError
from rag.settings import Settings

Body = dict[str, Any]
DIMENSION = 16


def vector(text: str, revision: int = 0) -> list[float]:
    """Stands for a model: a vector that depends on the text and the model's revision."""
    seed = [revision, *text.encode()]
    return [float(each) for each in np.random.default_rng(seed).standard_normal(DIMENSION)]


class Server:
    """Stands for an OpenAI-compatible embeddings server. `answers` are given first, then right ones."""

    def __init__(self) -> None:
        self.asked: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[Callable[[Body], tuple[int, Any, dict[str, str]]]] = []
        self.always: Callable[[Body], tuple[int, Any, dict[str, str]]] | None = None
        self.revision = 0
        self.noise = 0.0
        self.tokens: int | None = None
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def right(self, body: Body) -> Body:
        random = np.random.default_rng(len(self.asked))
        rows = [
            {"index": at, "embedding": (vector(text, self.revision) + random.normal(0, self.noise, DIMENSION)).tolist()}
            for at, text in enumerate(body["input"])
        ]
        usage = {} if self.tokens is None else {"usage": {"prompt_tokens": self.tokens}}
        return {"data": rows[::-1], "model": body["model"], **usage}  # out of order, as servers may

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(200, {"data": [{"id": "served-model"}]}, {})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    server.asked.append(body)
                    server.headers.append(dict(self.headers))
                    probing = body["input"] == list(PROBES)
                    answer = server.answers.pop(0) if server.answers and not probing else server.always
                    if probing and server.always is None:
                        answer = None
                status, content, headers = answer(body) if answer else (200, server.right(body), {})
                self._send(status, content, headers)

            def _send(self, status: int, content: Any, headers: dict[str, str]) -> None:
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None: ...

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def make(server: Server, settings: Callable[..., Settings]) -> Callable[..., RemoteEncoder]:
    def made(**values: Any) -> RemoteEncoder:
        found = encoders.dense_encoder(settings(**{"encoder_url": server.url, "encoder_model": "m", **values}))
        assert isinstance(found, RemoteEncoder)
        return found

    return made


@pytest.fixture
def encoder(make: Callable[..., RemoteEncoder]) -> RemoteEncoder:
    return make()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_DOCUMENT_PATIENCE", 3.0)
    monkeypatch.setattr(remote, "_QUERY_PATIENCE", 3.0)


def unit(text: str, revision: int = 0) -> list[float]:
    made = np.array(vector(text, revision))
    return [float(each) for each in made / np.linalg.norm(made)]


class TestRightAnswers:
    def test_vectors_come_back_in_the_texts_order_whatever_the_servers(
        self, make: Callable[..., RemoteEncoder]
    ) -> None:
        texts = [f"text {'long ' * (number % 7)}{number}" for number in range(50)]
        vectors = make(encoder_batch_size=8).encode_documents(texts)
        assert vectors.dtype == np.float32
        assert vectors == pytest.approx(np.array([unit(each) for each in texts]), abs=1e-6)

    def test_no_request_holds_more_texts_than_a_batch(self, server: Server, make: Callable[..., RemoteEncoder]) -> None:
        make(encoder_batch_size=8).encode_documents([str(number) for number in range(20)])
        assert sorted(len(body["input"]) for body in server.asked) == [4, 4, 8, 8]  # the probes are four

    def test_a_query_is_one_vector_and_no_documents_are_none(self, encoder: RemoteEncoder) -> None:
        assert encoder.encode_query("pod") == pytest.approx(unit("pod"), abs=1e-6)
        assert encoder.encode_documents([]).shape == (0, DIMENSION)

    def test_the_server_says_how_long_its_vectors_are(self, encoder: RemoteEncoder) -> None:
        assert encoder.dimension == DIMENSION

    def test_model_and_key_are_sent(self, server: Server, make: Callable[..., RemoteEncoder]) -> None:
        make(encoder_api_key="secret").encode_query("pod")
        assert {body["model"] for body in server.asked} == {"m"}
        assert {each["Authorization"] for each in server.headers} == {"Bearer secret"}

    def test_without_a_model_name_the_first_that_is_served_is_asked(
        self, server: Server, make: Callable[..., RemoteEncoder]
    ) -> None:
        assert make(encoder_model="").fingerprint["name"] == "served-model"
        assert server.asked[0]["model"] == "served-model"

    def test_making_one_touches_no_network(self, settings: Callable[..., Settings]) -> None:
        made = encoders.dense_encoder(settings(encoder_url="http://127.0.0.1:9/v1"))
        assert made.token_counts(["pods run"]) == [4]
        assert made.max_tokens == 256


class TestTryingAgain:
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_a_busy_or_broken_server_is_asked_again(self, server: Server, encoder: RemoteEncoder, status: int) -> None:
        server.answers = [lambda _: (status, b"", {})] * 2
        assert encoder.encode_query("pod") == pytest.approx(unit("pod"), abs=1e-6)

    @pytest.mark.parametrize("form", ["seconds", "date"])
    def test_it_waits_as_long_as_it_is_asked_to(self, server: Server, encoder: RemoteEncoder, form: str) -> None:
        when = "1" if form == "seconds" else email.utils.formatdate(time.time() + 2, usegmt=True)
        server.answers = [lambda _: (429, b"", {"Retry-After": when})]
        _ = encoder.dimension
        began = time.monotonic()
        encoder.encode_query("pod")
        assert time.monotonic() - began >= 0.9

    def test_it_does_not_wait_longer_than_anybody_would(self, server: Server, encoder: RemoteEncoder) -> None:
        server.answers = [lambda _: (429, b"", {"Retry-After": "3600"})]
        with pytest.raises(EncoderError, match="HTTP 429"):
            encoder.encode_query("pod")

    def test_a_dropped_answer_is_asked_for_again(self, server: Server, encoder: RemoteEncoder) -> None:
        server.answers = [lambda body: (200, server.right(body), {"Content-Length": "99999"})]
        assert encoder.encode_query("pod") == pytest.approx(unit("pod"), abs=1e-6)

    def test_a_server_that_answers_too_late_is_asked_again(
        self, server: Server, make: Callable[..., RemoteEncoder]
    ) -> None:
        def late(body: Body) -> tuple[int, Any, dict[str, str]]:
            time.sleep(1.5)
            return 200, server.right(body), {}

        server.answers = [late]
        assert make(encoder_timeout=0.7).encode_query("pod") == pytest.approx(unit("pod"), abs=1e-6)

    def test_what_waiting_cannot_mend_is_not_asked_again(self, server: Server, encoder: RemoteEncoder) -> None:
        server.always = lambda _: (401, {"error": {"message": "wrong\n key"}}, {})
        with pytest.raises(EncoderError, match=r"HTTP 401: wrong key. Check .*LIBRARIAN_ENCODER_API_KEY") as caught:
            encoder.encode_query("pod")
        assert len(server.asked) == 1
        assert "\n" not in str(caught.value)

    def test_a_server_that_is_not_there(self, settings: Callable[..., Settings]) -> None:
        url = "http://me:secret@127.0.0.1:9/v1"
        made = encoders.dense_encoder(settings(encoder_url=url, encoder_model="m"))
        with pytest.raises(EncoderError, match=r"the encoder at http://127\.0\.0\.1:9/v1 gave no vectors") as caught:
            made.encode_query("pod")
        assert "secret" not in str(caught.value)

    def test_one_failed_batch_ends_the_others(self, server: Server, make: Callable[..., RemoteEncoder]) -> None:
        made = make(encoder_batch_size=1)
        _ = made.dimension
        server.answers = [lambda _: (400, {"error": "too long"}, {})]
        server.always = lambda _: (503, b"", {})
        began = time.monotonic()
        with pytest.raises(EncoderError, match=r"HTTP 4|HTTP 5"):
            made.encode_documents([str(number) for number in range(100)])
        assert time.monotonic() - began < 20
        assert len(server.asked) < 60


def changed(**change: Any) -> Callable[[Body], Body]:
    return lambda right: {**right, **change}


def rows(edit: Callable[[list[Any]], Any]) -> Callable[[Body], Body]:
    return lambda right: {**right, "data": edit(right["data"])}


LIES: dict[str, tuple[Callable[[Body], Any], str]] = {
    "no JSON": (lambda _: b"<html>", "it is no JSON object"),
    "a list": (lambda _: [1], "it is no JSON object"),
    "no data": (changed(data=None), "no vectors for 3 texts"),
    "one vector too few": (rows(lambda data: data[1:]), "2 vectors for 3 texts"),
    "one vector too many": (rows(lambda data: [*data, data[0]]), "4 vectors for 3 texts"),
    "an index twice": (rows(lambda data: [data[0], data[0], data[1]]), "numbered 0 to 2, once each"),
    "an index beyond": (rows(lambda data: [{**data[0], "index": 7}, *data[1:]]), "numbered 0 to 2, once each"),
    "an index that is true": (rows(lambda data: [{**each, "index": True} for each in data]), "numbered 0 to 2"),
    "no index": (rows(lambda data: [{"embedding": [1.0]} for _ in data]), "numbered 0 to 2, once each"),
    "a shorter vector": (
        rows(lambda data: [{**data[0], "embedding": data[0]["embedding"][1:]}, *data[1:]]),
        "of different lengths",
    ),
    "empty vectors": (rows(lambda data: [{**each, "embedding": []} for each in data]), "empty or of different"),
    "all vectors shorter": (
        rows(lambda data: [{**each, "embedding": each["embedding"][1:]} for each in data]),
        "vectors of 15 numbers, before of 16",
    ),
    "NaN": (rows(lambda data: [{**data[0], "embedding": [float("nan")] * 16}, *data[1:]]), "not finite, or zero"),
    "infinity": (rows(lambda data: [{**data[0], "embedding": [float("inf")] * 16}, *data[1:]]), "not finite, or zero"),
    "null": (rows(lambda data: [{**data[0], "embedding": [None] * 16}, *data[1:]]), "cannot be used|not finite"),
    "zeros": (rows(lambda data: [{**data[0], "embedding": [0.0] * 16}, *data[1:]]), "not finite, or zero"),
    "words": (rows(lambda data: [{**data[0], "embedding": ["one"] * 16}, *data[1:]]), "something else than numbers"),
    "matrices": (rows(lambda data: [{**each, "embedding": [[1.0]] * 16} for each in data]), "cannot be used"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_that_cannot_be_right_is_refused(server: Server, encoder: RemoteEncoder, lie: str) -> None:
    spoil, reason = LIES[lie]
    _ = encoder.dimension
    server.answers = [lambda body: (200, spoil(server.right(body)), {})]
    with pytest.raises(EncoderError, match=reason) as caught:
        encoder.encode_documents(["one", "two", "three"])
    assert "\n" not in str(caught.value)
    assert server.url in str(caught.value)


class TestFingerprint:
    def test_the_same_model_is_known_again_in_spite_of_rounding(
        self, server: Server, make: Callable[..., RemoteEncoder]
    ) -> None:
        before = json.loads(json.dumps(make().fingerprint))
        server.noise = 0.01
        assert same_encoder(before, make().fingerprint)
        assert identity(before) == identity(make().fingerprint)

    def test_another_model_under_the_same_name_is_noticed(
        self, server: Server, make: Callable[..., RemoteEncoder]
    ) -> None:
        before = make().fingerprint
        server.revision = 1
        assert not same_encoder(before, make().fingerprint)

    def test_a_served_encoder_is_not_taken_for_a_folder_nor_the_other_way(
        self, encoder: RemoteEncoder, minilm: encoders.LocalEncoder
    ) -> None:
        assert not same_encoder(minilm.fingerprint, encoder.fingerprint)
        assert not same_encoder(encoder.fingerprint, minilm.fingerprint)
        assert same_encoder(minilm.fingerprint, {**minilm.fingerprint, "name": "moved"})

    @pytest.mark.parametrize("stored", [{}, {"probes": "?"}, {"probes": "AAAA", "dimension": 16}, {"dimension": 16}])
    def test_a_record_that_cannot_be_read_is_no_match(self, encoder: RemoteEncoder, stored: dict[str, Any]) -> None:
        assert not same_encoder(stored, encoder.fingerprint)

    def test_a_model_that_changes_under_a_running_process_is_noticed(
        self, server: Server, encoder: RemoteEncoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encoder.encode_query("pod")
        monkeypatch.setattr(remote, "_PROBE_AGAIN", 0.0)
        encoder.encode_query("pod")
        server.revision = 1
        with pytest.raises(EncoderError, match=r"another model answers .* than before.*librarian reindex"):
            encoder.encode_query("pod")


class TestTokenizer:
    def test_a_server_that_counts_other_tokens_is_noticed(
        self, server: Server, make: Callable[..., RemoteEncoder]
    ) -> None:
        server.tokens = 5
        with pytest.raises(EncoderError, match=r"counts 5 tokens where .*'minilm' counts .*ENCODER_TOKENIZER"):
            make().encode_query("pod")

    @pytest.mark.parametrize("special", [True, False])
    def test_special_tokens_may_be_counted_or_not(
        self, server: Server, make: Callable[..., RemoteEncoder], special: bool
    ) -> None:
        made = make()
        server.tokens = sum(made.token_counts(PROBES)) - (0 if special else 2 * len(PROBES))
        made.encode_query("pod")

    def test_the_setting_names_the_tokenizers_folder(self, make: Callable[..., RemoteEncoder]) -> None:
        made = make(encoder_tokenizer=str(find_folder("minilm")), encoder="no/such-model")
        assert made.token_counts(["pods run"]) == [4]
        with pytest.raises(EncoderError, match="set LIBRARIAN_ENCODER_TOKENIZER to one that does"):
            make(encoder_tokenizer="/nowhere/tokenizer").token_counts(["x"])
