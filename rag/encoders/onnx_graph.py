"""A BERT-like encoder as an ONNX graph, written from the folder's weights in under a second.

Nothing is exported or cached: torch's exporters take longer than this, need torch, and leave a file that a killed
process can break. The graph takes one text at a time (or several of equal length), so it has no padding, no mask,
and no text's vector depends on what is encoded beside it.

In int8 each matrix product reads weights quantized by column, symmetric, seven bits, and activations quantized as
they come, eight bits, one scale a text (DynamicQuantizeMatMul). Seven bits, because processors without VNNI add pairs
of products in 16 bits: 2 · 255 · 64 just fits, so the same vectors come out everywhere. Attention, normalization and
pooling stay fp32.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.encoders.folder import ModelFolder, pooling_modes
from rag.errors import EncoderError

if TYPE_CHECKING:
    from onnx import NodeProto

Array = NDArray[Any]

INPUT, TYPES, OUTPUT = "ids", "types", "vector"

ARCHITECTURES = {"bert", "roberta", "xlm-roberta", "camembert"}
ACTIVATIONS = {"gelu", "relu"}
_POOLINGS = {"mean", "cls"}
_STEPS = {"Transformer", "Pooling", "Normalize"}
_MICROSOFT = "com.microsoft"  # onnxruntime's own operators
MAX_BYTES = 2**31 - 2**20  # a protobuf message ends at 2 GiB
_QUANTIZED_MAX = 63


def why_not(files: ModelFolder) -> str | None:
    """Why this model cannot be written as a graph; None where it can."""
    config = files.config
    kinds = [kind for kind, _ in files.modules]
    modes = pooling_modes(files.pooling)
    weights = files.transformer / "model.safetensors"
    if not set(kinds) <= _STEPS or kinds.count("Transformer") != 1 or len(kinds) != len(set(kinds)):
        return f"it is built of {', '.join(kinds)}"
    if config.get("model_type") not in ARCHITECTURES:
        return f"its architecture is '{config.get('model_type')}'"
    if config.get("position_embedding_type", "absolute") != "absolute":
        return f"its positions are '{config['position_embedding_type']}'"
    if config.get("hidden_act") not in ACTIVATIONS:
        return f"its activation is '{config.get('hidden_act')}'"
    if len(modes) != 1 or modes[0] not in _POOLINGS or files.pooling.get("include_prompt") is False:
        return f"it pools by {', '.join(modes)}{'' if files.pooling.get('include_prompt', True) else ' less prompt'}"
    if not weights.is_file():
        return "it has no model.safetensors"
    if weights.stat().st_size > MAX_BYTES:
        return "its weights are larger than 2 GiB"
    return None


def write_graph(files: ModelFolder, *, int8: bool) -> bytes:
    """The graph: token ids (texts, tokens) of equal length to unit vectors (texts, dimension), serialized.

    Raises EncoderError where the folder's weights are not what its config says.
    """
    try:
        return _EncoderWriter(files, int8=int8).write()
    except (KeyError, ValueError, TypeError, IndexError, OSError) as error:
        raise EncoderError(
            f"encoder '{files.name}' in {files.path} cannot be loaded: {type(error).__name__} {error}. "
            f"Check the folder, or set LIBRARIAN_ENCODER_BACKEND=torch-fp32."
        ) from error


class GraphWriter:
    """The part that all BERT-like graphs share, from token ids to the last layer's hidden states; subclasses end it.

    `weights` go by their names inside the encoder. Where `typed`, the graph reads each token's type as a second input;
    else every token is of type 0.
    """

    def __init__(
        self, config: Mapping[str, Any], weights: dict[str, Array], *, int8: bool, typed: bool = False
    ) -> None:
        self._config = config
        self._weights = weights
        self._int8 = int8
        self._typed = typed
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, Array] = {}

    def _hidden(self) -> str:
        """Hidden states of the last layer, (texts, tokens, hidden size)."""
        hidden = self._embed()
        for number in range(int(self._config["num_hidden_layers"])):
            hidden = self._layer(f"encoder.layer.{number}.", hidden)
        return hidden

    def _first(self, hidden: str) -> str:
        """The hidden state of each text's first token, (texts, hidden size)."""
        return self._node("Gather", [hidden, self._constant("first", np.array(0))], "pooled", axis=1)

    def _serialized(self, size: int) -> bytes:
        """All nodes so far as a graph that gives OUTPUT, (texts, size)."""
        from onnx import TensorProto, helper, numpy_helper

        inputs = [INPUT, TYPES] if self._typed else [INPUT]
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [helper.make_tensor_value_info(each, TensorProto.INT64, ["texts", "tokens"]) for each in inputs],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["texts", size])],
            [numpy_helper.from_array(array, name) for name, array in self._constants.items()],
        )
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(_MICROSOFT, 1)]
        return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())

    def _embed(self) -> str:
        """Word, position and type embeddings, added and normalized."""
        positions = self._weights["embeddings.position_embeddings.weight"]
        if self._config["model_type"] != "bert":  # RoBERTa counts positions from behind the padding token's id
            positions = positions[int(self._config["pad_token_id"]) + 1 :]
        types = self._weights["embeddings.token_type_embeddings.weight"]
        if not self._typed:
            positions = positions + types[0]
        words = self._constant("words", self._weights["embeddings.word_embeddings.weight"])
        length = self._node("Shape", [INPUT], "length", start=1)
        start = self._constant("start", np.array([0]))
        placed = self._node("Slice", [self._constant("positions", positions), start, length], "placed")
        if self._typed:
            typed = self._node("Gather", [self._constant("type_table", types), TYPES], "typed")
            placed = self._node("Add", [placed, typed], "placed_and_typed")
        return self._normalized(self._node("Gather", [words, INPUT], "looked_up"), placed, "embeddings.LayerNorm")

    def _layer(self, name: str, hidden: str) -> str:
        """Self-attention and feed-forward, each added to its input and normalized (Devlin et al., 2019)."""
        parts = [name + f"attention.self.{part}" for part in ("query", "key", "value")]
        joined = name + "attention.self"
        for kind in ("weight", "bias"):
            self._weights[f"{joined}.{kind}"] = np.concatenate([self._weights[f"{part}.{kind}"] for part in parts])
        projected = self._linear(joined, hidden)
        self._node("Split", [projected], parts, axis=-1, num_outputs=3)
        heads = int(self._config["num_attention_heads"])
        attended = self._node("MultiHeadAttention", parts, name + "attended", _MICROSOFT, num_heads=heads)
        attended = self._linear(name + "attention.output.dense", attended)
        hidden = self._normalized(attended, hidden, name + "attention.output.LayerNorm")
        inner = self._linear(name + "intermediate.dense", hidden)
        activated = self._activated(inner, name + "activated")
        return self._normalized(self._linear(name + "output.dense", activated), hidden, name + "output.LayerNorm")

    def _linear(self, name: str, given: str) -> str:
        weight, bias = self._weights[name + ".weight"].T, self._constant(name + ".bias", self._weights[name + ".bias"])
        if not self._int8:
            product = self._node("MatMul", [given, self._constant(name + ".weight", weight)], name + ".product")
            return self._node("Add", [product, bias], name)
        scales = np.maximum(np.abs(weight).max(axis=0) / _QUANTIZED_MAX, 1e-12).astype(np.float32)
        constants = [
            self._constant(name + ".weight", np.round(weight / scales).astype(np.int8)),
            self._constant(name + ".scales", scales),
            self._constant(name + ".zeros", np.zeros(len(scales), np.int8)),
        ]
        return self._node("DynamicQuantizeMatMul", [given, *constants, bias], name, _MICROSOFT)

    def _activated(self, inner: str, name: str) -> str:
        if self._config["hidden_act"] == "relu":
            return self._node("Relu", [inner], name)
        if self._int8:  # the tanh form is quicker, and nearer to the exact one than int8 is to fp32
            return self._node("FastGelu", [inner], name, _MICROSOFT)
        return self._node("Gelu", [inner], name)

    def _normalized(self, first: str, second: str, name: str) -> str:
        added = self._node("Add", [first, second], name + ".sum")
        scale, shift = (
            self._constant(f"{name}.{new}", self._weights.get(f"{name}.{new}", self._weights.get(f"{name}.{old}")))
            for new, old in (("weight", "gamma"), ("bias", "beta"))
        )
        epsilon = float(self._config.get("layer_norm_eps", 1e-12))
        return self._node("LayerNormalization", [added, scale, shift], name, axis=-1, epsilon=epsilon)

    def _constant(self, name: str, value: Array | None) -> str:
        if value is None:
            raise KeyError(name)
        self._constants[name] = np.asarray(value, order="C")  # which leaves a scalar a scalar
        return name

    def _node(self, kind: str, inputs: list[str], output: str | list[str], domain: str = "", **options: Any) -> str:
        from onnx import helper

        outputs = [output] if isinstance(output, str) else output
        self._nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **options))
        return outputs[0]


class _EncoderWriter(GraphWriter):
    """Ends the graph in a unit vector."""

    def __init__(self, files: ModelFolder, *, int8: bool) -> None:
        weights = read_safetensors(files.transformer / "model.safetensors")
        super().__init__(files.config, without_prefix(weights), int8=int8)
        self._pooling = pooling_modes(files.pooling)[0]

    def write(self) -> bytes:
        hidden = self._hidden()
        if self._pooling == "mean":
            pooled = self._node("ReduceMean", [hidden, self._constant("axes", np.array([1]))], "pooled", keepdims=0)
        else:
            pooled = self._first(hidden)
        self._node("LpNormalization", [pooled], OUTPUT, axis=-1, p=2)
        return self._serialized(int(self._config["hidden_size"]))


def read_safetensors(path: Any) -> dict[str, Array]:
    """Every floating-point tensor of a safetensors file as float32, bfloat16 ones too, which NumPy cannot name.

    The format: eight bytes of header length (little-endian), a JSON header, the tensors' bytes.
    """
    data = np.memmap(path, dtype=np.uint8, mode="r")
    (length,) = struct.unpack("<Q", data[:8].tobytes())
    header: Mapping[str, Any] = json.loads(data[8 : 8 + length].tobytes())
    found: dict[str, Array] = {}
    for name, entry in header.items():
        kind = entry.get("dtype")
        if name == "__metadata__" or kind not in ("F32", "F16", "BF16"):
            continue
        first, last = (8 + length + each for each in entry["data_offsets"])
        raw = data[first:last].tobytes()
        if kind == "BF16":
            values: Array = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(raw, np.float32 if kind == "F32" else np.float16).astype(np.float32, copy=False)
        found[name] = values.reshape(entry["shape"])
    return found


def without_prefix(weights: dict[str, Array]) -> dict[str, Array]:
    """Weights by their names inside the encoder: `bert.encoder.…` of a larger model becomes `encoder.…`."""
    marker = "embeddings.word_embeddings.weight"
    prefix = next((name.removesuffix(marker) for name in weights if name.endswith(marker)), "")
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
