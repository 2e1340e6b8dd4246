"""Mail: headers, text and attachments; what is encrypted or endless is named."""

from __future__ import annotations

import time
from contextlib import suppress
from email.message import EmailMessage

import pytest

from ingest.loading import Damaged, Encrypted, load

HOSTILE_SECONDS = 10


def message(text: str = "Words.", subject: str = "About this") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Ann <ann@example.org>", "bo@example.org", subject
    mail["Date"] = "Tue, 02 Jan 2024 03:04:05 +0000"
    mail["X-Spam"] = "no"
    mail.set_content(text)
    return mail


def test_who_wrote_when_and_about_what_stands_above_the_text() -> None:
    found = load("a.eml", message().as_bytes())
    assert found.text == (
        "From: Ann <ann@example.org>\nTo: bo@example.org\nDate: Tue, 02 Jan 2024 03:04:05 +0000\n"
        "Subject: About this\n\nWords."
    )
    assert found.title == "About this"
    assert found.metadata["from"] == "Ann <ann@example.org>"


def test_words_of_other_scripts_are_decoded() -> None:
    found = load("a.eml", message("Grüße aus Köln — 図書館", "Größe €").as_bytes())
    assert found.title == "Größe €"
    assert "Grüße aus Köln — 図書館" in found.text


def test_a_text_in_an_encoding_that_it_does_not_name_is_read() -> None:
    head = b"Subject: x\nContent-Type: text/plain; charset=nonsense\nContent-Transfer-Encoding: 8bit\n\n"
    raw = head + b"We met at the caf\xe9 on the corner."
    assert "the café on the corner" in load("a.eml", raw).text


def test_of_two_versions_the_plain_one_is_read_once() -> None:
    mail = message("Plain words.")
    mail.add_alternative("<p>Other <b>words</b>.</p>", subtype="html")
    text = load("a.eml", mail.as_bytes()).text
    assert text.endswith("Plain words.")
    assert "Other" not in text


def test_html_alone_becomes_markdown() -> None:
    mail = message()
    mail.set_content("<p>Some <b>bold</b> words.</p><script>x</script>", subtype="html")
    assert load("a.eml", mail.as_bytes()).text.endswith("Some **bold** words.")


def test_attachments_of_text_are_read_under_their_name_and_others_are_named() -> None:
    mail = message()
    mail.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="figures.csv")
    mail.add_attachment(b"\x89PNG\r\n", maintype="image", subtype="png", filename="picture.png")
    mail.add_attachment(b"PK\x03\x04", maintype="application", subtype="zip", filename="more.zip")
    text = load("a.eml", mail.as_bytes()).text
    assert "## Attachment: figures.csv\n\n| a | b |\n| --- | --- |\n| 1 | 2 |" in text
    assert text.endswith("## Attachment: picture.png\n\n## Attachment: more.zip")


def test_an_attached_message_is_named_and_not_opened() -> None:
    mail = message()
    mail.add_attachment(message("Inner words."))
    text = load("a.eml", mail.as_bytes()).text
    assert "## Attachment: message.eml" in text
    assert "Inner words." not in text


@pytest.mark.parametrize(
    "kind", ["multipart/encrypted; boundary=x", "application/pkcs7-mime; smime-type=enveloped-data"]
)
def test_an_encrypted_message_is_named_as_such(kind: str) -> None:
    with pytest.raises(Encrypted):
        load("a.eml", f"Subject: x\nContent-Type: {kind}\n\nabc".encode())


@pytest.mark.parametrize("data", [b"\n\njust text", bytes(range(256)) * 20])
def test_what_is_no_message_is_named_as_damaged(data: bytes) -> None:
    with pytest.raises(Damaged):
        load("a.eml", data)


@pytest.mark.parametrize(
    "data",
    [
        b"To: " + b"<a@b.c>, " * 200_000 + b"\n\nhi",
        b"Subject: " + b"=?utf-8?q?x?= " * 200_000 + b"\n\nhi",
        b"Content-Type: text/plain; " + b"a=b; " * 200_000 + b"\n\nhi",
        b"From: a\n"
        + b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(20_000)),
        b"From: a\nContent-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\n\n" * 100_000,
        b"X: y\n" * 200_000 + b"\nhi",
    ],
    ids=["recipients", "subject", "parameters", "nested", "parts", "headers"],
)
def test_no_message_takes_more_time_than_its_length_warrants(data: bytes) -> None:
    started = time.monotonic()
    with suppress(Damaged):
        load("a.eml", data)
    assert time.monotonic() - started < HOSTILE_SECONDS
