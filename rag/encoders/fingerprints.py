"""When two dense encoders' fingerprints name the same encoder.

A folder is named by a hash of its files. A server shows no files, so its encoder is named by the vectors that it
makes of a few fixed sentences. Those are not the same to the last bit on every processor, in every batch, so they
are compared by cosine and not by a hash.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from rag.encoders.interface import Vectors

# Of different kinds on purpose: two models, or two revisions of one, that agree on all of these are taken for one.
PROBES = (
    "A pod is the smallest unit of computing that Kubernetes can run.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "def probe(x: int) -> int: return x * 42",
    "In 1919, a total eclipse confirmed that gravity bends light.",
)

# A model moved to another processor or from fp32 to bf16 stays above this; int8, a tuned revision or another do not.
SAME_COSINE = 0.995


def pack_probes(vectors: Vectors) -> str:
    """Unit vectors of the probes as base64 of little-endian float16: 2 · PROBES · dimension bytes before that."""
    return base64.b64encode(np.ascontiguousarray(vectors, dtype="<f2").tobytes()).decode("ascii")


def same_encoder(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether both name one encoder: by its files' hash, or by dimension and probes where a server encodes."""
    if "sha256" in wanted:
        return bool(found.get("sha256") == wanted["sha256"])
    if "probes" not in wanted:
        return dict(found) == dict(wanted)
    if found.get("dimension") != wanted.get("dimension"):
        return False
    return probes_agree(_unpack(found), _unpack(wanted))


def identity(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a fingerprint that is the same to the last bit each time: what a name may be derived from."""
    return {key: value for key, value in fingerprint.items() if key != "probes"}


def describe(fingerprint: Mapping[str, Any]) -> str:
    """For people, in a few words: the encoder's name and what tells it from another of that name."""
    if "probes" in fingerprint:
        digest = hashlib.sha256(str(fingerprint["probes"]).encode()).hexdigest()
        return f"'{fingerprint.get('name')}' behind a URL ({fingerprint.get('dimension')} dimensions, {digest[:8]})"
    return f"'{fingerprint.get('name')}' ({str(fingerprint.get('sha256'))[:8]})"


def probes_agree(first: Vectors | None, second: Vectors | None) -> bool:
    """Whether each probe's two vectors are as near as one encoder's are."""
    if first is None or second is None or first.shape != second.shape:
        return False
    return bool(np.all(np.sum(_unit(first) * _unit(second), axis=1) >= SAME_COSINE))


def _unpack(fingerprint: Mapping[str, Any]) -> Vectors | None:
    try:
        raw = base64.b64decode(str(fingerprint["probes"]), validate=True)
        flat = np.frombuffer(raw, "<f2").astype(np.float32)
        return flat.reshape(len(PROBES), int(fingerprint["dimension"]))
    except (KeyError, ValueError, TypeError, binascii.Error):
        return None


def _unit(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    return vectors / lengths
