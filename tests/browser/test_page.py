"""The page as people use it: ask, read, follow up, stop, retry, copy, add documents, look behind an answer."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from rag.feedback import Feedback, Wanted, everything
from rag.schema import Scope
from serve.routes.page import POLICY
from tests.browser.conftest import QUESTION, Seen
from tests.fake_model import wait_until


def test_an_answer_streams_in_and_is_shown_as_markdown(seen: Seen) -> None:
    seen.model.delay = 1.2
    seen.ask(ended=False)
    expect(seen.page.get_by_role("button", name="Stop")).to_be_visible()
    expect(seen.page.locator(".answer strong")).to_have_text("traffic")
    assert seen.model.streaming == 1  # shown before the end
    expect(seen.page.locator(".answer li")).to_have_text(["one", "two"])
    expect(seen.page.locator(".answer")).to_have_attribute("aria-busy", "false")
    expect(seen.page.get_by_role("button", name="Stop")).to_be_hidden()


def test_a_citation_opens_the_document_at_its_passage(seen: Seen) -> None:
    seen.ask()
    seen.page.locator(".answer .mark").first.click()
    reader = seen.page.get_by_role("dialog")
    expect(reader.locator("mark")).to_contain_text("keeps traffic away from a pod")
    expect(reader).to_contain_text("Probes")
    expect(reader.locator("#reader-place")).to_have_text(re.compile(r"probes\.md · .*Readiness.* · score \d\.\d{3}"))
    expect(reader.locator("#reader-note")).to_be_empty()
    seen.page.keyboard.press("Escape")
    expect(reader).to_be_hidden()
    expect(seen.page.locator(".answer .mark").first).to_be_focused()


def test_a_follow_up_brings_the_conversation_with_it(seen: Seen) -> None:
    seen.ask()
    seen.ask("What does a readiness probe do for traffic?")
    contents = [each["content"] for each in seen.model.chats[-1]["messages"] if each["role"] != "system"]
    assert QUESTION in contents[0]
    assert "It keeps **traffic** away" in contents[1]
    seen.page.get_by_role("button", name="New conversation").click()
    expect(seen.page.locator(".turn")).to_have_count(0)
    seen.ask()
    assert not any(each["role"] == "assistant" for each in seen.model.chats[-1]["messages"])


def test_the_collection_chosen_is_the_one_asked(seen: Seen) -> None:
    seen.page.get_by_label("Collection").select_option("librarian/kitchen")
    seen.model.pieces = ["At 80 degrees [1]."]
    seen.ask("How hot is green tea brewed?")
    seen.page.locator(".answer .mark").click()
    expect(seen.page.get_by_role("dialog").locator("mark")).to_contain_text("80 degrees")


def test_stop_ends_the_models_work_and_keeps_what_came(seen: Seen) -> None:
    seen.model.pieces, seen.model.delay = ["word "] * 200, 0.1
    left = seen.model.abandoned
    seen.ask(ended=False)
    expect(seen.page.locator(".answer")).to_contain_text("word word")
    seen.page.get_by_role("button", name="Stop").click()
    expect(seen.page.locator(".answer")).to_contain_text("Stopped.")
    assert wait_until(lambda: seen.model.abandoned == left + 1)
    assert seen.page.locator(".rating").count() == 0


def test_retry_asks_again_in_the_same_place(seen: Seen) -> None:
    seen.ask()
    seen.model.pieces = ["Another answer [1]."]
    seen.page.get_by_role("button", name="Retry").click()
    expect(seen.page.locator(".answer")).to_contain_text("Another answer")
    expect(seen.page.locator(".turn")).to_have_count(1)


def test_copy_takes_the_text_and_the_sources_it_cites(seen: Seen) -> None:
    seen.ask()
    seen.page.get_by_role("button", name="Copy").click()
    expect(seen.page.get_by_role("button", name="Copied")).to_be_visible()
    copied = seen.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("It keeps **traffic** away from a pod")
    assert "[1] Probes (upload:probes.md)" in copied


def test_a_dropped_file_is_indexed_and_can_be_asked(seen: Seen, tmp_path: Path) -> None:
    data = seen.page.evaluate_handle(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["# Badger\\n\\nA badger digs a sett under the hedge."], "badger.md"));
            return data;
        }"""
    )
    seen.page.dispatch_event("body", "dragover", {"dataTransfer": data})
    expect(seen.page.locator("#drop")).to_be_visible()
    seen.page.dispatch_event("body", "drop", {"dataTransfer": data})
    expect(seen.page.locator(".upload")).to_contain_text("added")
    assert "upload:badger.md" in seen.api.uris()
    seen.ask("Where does a badger dig a sett?")
    expect(seen.page.locator(".why")).to_contain_text("Badger")


def test_a_file_that_cannot_be_read_is_named(seen: Seen, tmp_path: Path) -> None:
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7 broken")
    seen.page.locator("#files").set_input_files(tmp_path / "bad.pdf")
    expect(seen.page.locator(".upload .wrong")).to_contain_text("bad.pdf")


def test_why_shows_passages_scores_and_timings(seen: Seen) -> None:
    seen.ask()
    seen.page.get_by_text("Why this answer").click()
    why = seen.page.locator(".why")
    expect(why.locator(".passages li").first).to_contain_text(re.compile(r"score \d"))
    expect(why.locator(".tag").first).to_have_text("cited")
    expect(why.get_by_role("row", name=re.compile("total .* ms"))).to_be_visible()


def test_a_question_beside_the_documents_says_so_and_why(seen: Seen) -> None:
    seen.ask("Who won the cycling race in Flanders last spring?")
    expect(seen.page.locator(".answer.abstained")).to_be_visible()
    seen.page.get_by_text("Why this answer").click()
    expect(seen.page.locator(".why")).to_contain_text("not relevant enough")


def heard(seen: Seen) -> list[Feedback]:
    """All that was said of answers, newest first."""
    return list(everything(seen.api.server.app.state.feedback, Scope(), Wanted()))


def test_a_thumb_is_noted_with_the_passages_and_what_is_cited(seen: Seen) -> None:
    seen.ask()
    seen.page.get_by_role("button", name="Bad answer").click()
    expect(seen.page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")
    said = heard(seen)[0]
    assert (said.rating, said.question, said.comment, said.verified) == ("down", QUESTION, "", True)
    assert said.cited[0].document == "upload:probes.md"
    seen.page.get_by_role("button", name="Good answer").click()
    expect(seen.page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    expect(seen.page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "false")
    again = heard(seen)[0]
    assert (again.id, again.rating) == (said.id, "up")


def test_a_word_on_why_goes_with_a_thumb_by_keyboard_alone(seen: Seen) -> None:
    seen.ask()
    expect(seen.page.locator(".comment")).to_have_count(0)
    seen.page.get_by_role("button", name="Bad answer").press("Enter")
    field = seen.page.get_by_label("What was wrong?")
    expect(field).to_be_visible()
    expect(seen.page.get_by_role("button", name="Bad answer")).to_be_focused()  # nobody has to say more
    seen.page.keyboard.press("Tab")
    expect(field).to_be_focused()
    seen.page.keyboard.press("Enter")  # nothing is no comment
    expect(field).to_be_focused()
    seen.page.keyboard.type("It is about liveness.")
    seen.page.keyboard.press("Enter")
    expect(seen.page.locator(".comment")).to_have_text("Noted.")
    said = heard(seen)[0]
    assert (said.rating, said.comment) == ("down", "It is about liveness.")


def test_an_answer_that_the_service_has_forgotten_is_told_by_the_page(seen: Seen) -> None:
    seen.ask()
    seen.api.server.app.state.given_answers._known.clear()
    seen.page.get_by_role("button", name="Good answer").click()
    expect(seen.page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    said = heard(seen)[0]
    assert (said.question, said.collection, said.verified) == (QUESTION, "documents", False)
    assert said.answer.startswith("It keeps **traffic** away")
    assert [each.document for each in said.cited] == ["upload:probes.md"]


def test_a_rating_that_is_refused_is_said_and_the_thumbs_stay(seen: Seen, context: BrowserContext) -> None:
    refusal = {"error": {"message": "not now.", "code": "answer_not_found"}}
    context.route("**/v1/feedback", lambda route: route.fulfill(status=404, json=refusal))
    seen.ask()
    seen.page.get_by_role("button", name="Good answer").click()
    expect(seen.page.get_by_role("status")).to_have_text("Not noted: not now.")
    expect(seen.page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "false")
    seen.errors.clear()  # the browser itself reports the status


def test_without_such_a_route_there_are_no_thumbs(seen: Seen, context: BrowserContext) -> None:
    context.route("**/openapi.json", lambda route: route.fulfill(json={"paths": {}}))
    seen.page.reload()
    seen.page.wait_for_load_state("networkidle")
    seen.ask()
    expect(seen.page.locator(".rating")).to_have_count(0)


def test_a_model_that_fails_is_said_and_can_be_asked_again(seen: Seen) -> None:
    seen.model.dies_after = 1
    seen.ask()
    expect(seen.page.locator(".answer .wrong")).to_be_visible()
    seen.model.dies_after = None
    seen.page.get_by_role("button", name="Retry").click()
    expect(seen.page.locator(".answer li")).to_have_text(["one", "two"])


def test_its_files_come_with_their_types_and_a_policy(seen: Seen) -> None:
    page = seen.api.http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == POLICY
    script = seen.api.http.get("/page/app.js")
    assert script.headers["content-type"].startswith("text/javascript")
    again = seen.api.http.get("/page/app.js", headers={"If-None-Match": script.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert seen.api.http.get("/page/..%2f__init__.py").status_code == 404
