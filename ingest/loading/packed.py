"""What is checked of a document that is a ZIP archive (DOCX, PPTX, XLSX, ODT, EPUB, …) before anything opens it."""

from __future__ import annotations

import zipfile
import zlib
from io import BytesIO

from ingest.loading.errors import Damaged, Encrypted, TooLarge
from ingest.loading.interface import Limits

_MAX_ENTRIES = 10_000
_ROOM = 1024 * 1024  # bytes that any document may unpack to, however small it is
_PIECE = 256 * 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LOCKED = "EncryptedPackage".encode("utf-16-le")
_ENCRYPTED_ENTRY = 0x1  # bit 0 of an entry's flags (APPNOTE.TXT 4.4.4)
_FONT_METHODS = (b"http://www.idpf.org/2008/embedding", b"http://ns.adobe.com/pdf/enc#RC")


def check_package(data: bytes, limits: Limits) -> None:
    """Raises TooLarge, Encrypted or Damaged for an archive that must not be opened. Every entry is unpacked once,
    piece by piece: what an archive says of its sizes is not believed."""
    if data.startswith(_OLE):
        if _LOCKED in data:
            raise Encrypted("it is locked with a password; save it without one.")
        raise Damaged("it is in the format of old Office versions, not what its name says; save it anew.")
    room = max(limits.expansion * len(data), _ROOM)
    try:
        with zipfile.ZipFile(BytesIO(data)) as package:
            entries = package.infolist()
            if len(entries) > _MAX_ENTRIES:
                raise TooLarge(f"it is an archive of {len(entries)} files; at most {_MAX_ENTRIES} are opened.")
            if any(entry.flag_bits & _ENCRYPTED_ENTRY for entry in entries) or _is_locked(package):
                raise Encrypted("it is encrypted; save it without a password or protection.")
            for entry in entries:
                room -= _unpacked(package, entry, room)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise Damaged(f"it is cut off or damaged ({' '.join(str(error).split())[:80]}).") from None


def _unpacked(package: zipfile.ZipFile, entry: zipfile.ZipInfo, room: int) -> int:
    size = 0
    with package.open(entry) as stream:
        while piece := stream.read(_PIECE):
            size += len(piece)
            if size > room:
                raise TooLarge("it unpacks to more than max_expansion times its size; save it anew.")
    return size


def _is_locked(package: zipfile.ZipFile) -> bool:
    """Whether an OpenDocument or EPUB file says that its parts are encrypted; encrypted fonts do not matter."""
    names = set(package.namelist())
    if "META-INF/manifest.xml" in names and b"encryption-data" in _head(package, "META-INF/manifest.xml"):
        return True
    if "META-INF/encryption.xml" not in names:
        return False
    said = _head(package, "META-INF/encryption.xml")
    methods = said.count(b"EncryptionMethod ")
    return methods > sum(said.count(each) for each in _FONT_METHODS)


def _head(package: zipfile.ZipFile, name: str) -> bytes:
    with package.open(name) as stream:
        return stream.read(_PIECE)
