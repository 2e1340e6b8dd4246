"""Mail: who wrote to whom, when and about what, the text, and attachments that are text."""

from __future__ import annotations

from collections.abc import Iterator
from email import policy
from email.errors import MessageError
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import PurePosixPath
from typing import cast

from ingest.loading.converter import convert
from ingest.loading.decoding import decode
from ingest.loading.errors import Damaged, Encrypted, too_many_characters
from ingest.loading.formats import ATTACHED, read_attachment
from ingest.loading.interface import Limits, Loaded
from ingest.loading.titles import facts
from ingest.loading.web import html_to_markdown
from rag.errors import SourceError

_MAX_BOUNDARIES = 500  # parts within parts; reading them takes time in proportion to its square
_MAX_DASHES = 20_000  # lines that may start a part
_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_MAX_HEADER = 500  # characters of a header that are kept
_LONG_HEADER = 4000  # characters of a header that are read: a list of recipients can be endless
_MAX_PARTS = 1000


class _Short(policy.EmailPolicy):
    """Headers are cut before they are parsed: the time for that grows with the square of their length."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_LONG_HEADER]


def load_eml(data: bytes, name: str, limits: Limits) -> Loaded:
    """A message as RFC 5322 has it. Attachments that are messages or archives are named, not opened."""
    if data.count(b"boundary=") > _MAX_BOUNDARIES or data.count(b"\n--") > _MAX_DASHES:
        raise Damaged("it has more parts, or parts within parts, than mail has; save its attachments instead.")
    try:
        message = cast(EmailMessage, BytesParser(_class=EmailMessage, policy=_Short()).parsebytes(data))
    except (MessageError, ValueError, LookupError) as error:
        raise Damaged(f"it is no mail message ({error}).") from None
    headers = {key: value for key in _HEADERS if (value := _header(message, key))}
    if not headers and not message.keys():
        raise Damaged("it is no mail message: it has no headers.")
    _refuse_encrypted(message)
    blocks = ["\n".join(f"{key}: {value}" for key, value in headers.items())]
    room = limits.characters
    for block in _blocks(message, limits):
        room -= len(block)
        if room < 0:
            raise too_many_characters(limits.characters)
        blocks.append(block)
    return _loaded(blocks, headers)


def load_msg(data: bytes, name: str, limits: Limits) -> Loaded:
    """A message as Outlook saves it; its attachments are named, not opened."""
    converted = convert(data, name, limits)
    head, _, body = converted.text.partition("\n\n")
    blocks, headers = [], dict[str, str]()
    while head.startswith("**") and "**: " in head:
        key, _, value = head[2:].partition("**: ")
        if key in _HEADERS:
            headers[key] = value.strip()[:_MAX_HEADER]
        head, _, body = body.partition("\n\n")
    blocks = ["\n".join(f"{key}: {headers[key]}" for key in _HEADERS if key in headers), head, body]
    return _loaded(blocks, headers)


def _loaded(blocks: list[str], headers: dict[str, str]) -> Loaded:
    metadata = facts((key.lower(), headers.get(key)) for key in ("From", "To", "Date"))
    text = "\n\n".join(block.strip() for block in blocks if block.strip())
    return Loaded(text, headers.get("Subject"), metadata=metadata)


def _header(message: EmailMessage, key: str) -> str:
    try:
        value = str(message.get(key, ""))
    except (MessageError, ValueError, LookupError, IndexError, AttributeError, TypeError):  # the parser trips on some
        value = next((str(raw) for name, raw in message.raw_items() if name.lower() == key.lower()), "")
    return " ".join(value.split())[:_MAX_HEADER]


def _refuse_encrypted(message: EmailMessage) -> None:
    kind = message.get_content_type()
    if kind == "multipart/encrypted" or (
        kind in {"application/pkcs7-mime", "application/x-pkcs7-mime"}
        and str(message.get_param("smime-type", "enveloped-data")).lower() == "enveloped-data"
    ):
        raise Encrypted("it is encrypted; save it decrypted from the mail program.")


def _blocks(message: EmailMessage, limits: Limits) -> Iterator[str]:
    """The message's text, then each attachment under its name."""
    chosen = _body(message)
    if chosen is not None:
        yield _text(chosen)
    for count, part in enumerate(_leaves(message)):
        if count >= _MAX_PARTS:
            return
        if part is chosen or _is_shown(part):
            continue
        name = _file_name(part)
        text = _attachment(part, name, limits) if name else ""
        if name:
            yield f"## Attachment: {name}"
        if text:
            yield text


def _body(message: EmailMessage) -> EmailMessage | None:
    try:
        found = message.get_body(preferencelist=("plain", "html"))
    except (MessageError, ValueError, LookupError, AttributeError, KeyError):
        found = None
    if found is None:
        found = next((each for each in _leaves(message) if each.get_content_maintype() == "text"), None)
    return found if isinstance(found, EmailMessage) else None


def _leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    """The parts that hold something, without those of attached messages."""
    todo: list[EmailMessage] = [message]
    while todo:
        part = todo.pop()
        if part.get_content_type() == "message/rfc822" and part is not message:
            yield part
        elif part.is_multipart():
            parts = part.get_payload()
            todo += (
                [each for each in reversed(parts) if isinstance(each, EmailMessage)] if isinstance(parts, list) else []
            )
        else:
            yield part


def _is_shown(part: EmailMessage) -> bool:
    """Whether it is another version of the text, or a picture in it, rather than an attachment."""
    return part.get_content_disposition() != "attachment" and not part.get_filename()


def _file_name(part: EmailMessage) -> str:
    name = part.get_filename() or ("message.eml" if part.get_content_type() == "message/rfc822" else "unnamed")
    return " ".join(PurePosixPath(name.replace("\\", "/")).name.split())[:100]


def _attachment(part: EmailMessage, name: str, limits: Limits) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in ATTACHED and part.get_content_maintype() != "text":
        return ""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return read_attachment(name if suffix in ATTACHED else "attachment.txt", payload, limits).text
    except SourceError:  # the message is worth reading without it
        return ""


def _text(part: EmailMessage) -> str:
    try:
        text = part.get_content()
    except (MessageError, ValueError, LookupError, KeyError):  # an unknown charset, or bytes that it does not have
        text = None
    if not isinstance(text, str):
        payload = part.get_payload(decode=True)
        text = decode(payload) if isinstance(payload, bytes) and payload else ""
    return html_to_markdown(text)[0] if part.get_content_subtype() == "html" else text.replace("\r\n", "\n")
