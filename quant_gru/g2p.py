"""The trained grapheme-to-phoneme network of g2p-en: a GRU encoder, a GRU decoder, and 371 real words.

Only data files of the installed package are read; it is never imported, because importing it fetches corpora.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from golden.spec.arrays import real_array
from golden.spec.errors import ParameterError
from quant_gru.errors import MissingPart
from quant_gru.float_gru import FloatGru
from quant_gru.load import load_model

GRAPHEMES = ("<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz")
PHONEMES = (
    "<pad> <unk> <s> </s> AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0 EH1 "
    "EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH "
    "UH0 UH1 UH2 UW UW0 UW1 UW2 V W Y Z ZH"
).split()
UNKNOWN, WORD_END = 1, 2  # graphemes
START, STOP = 2, 3  # phonemes
MAX_PHONEMES = 20
_INDEX = {g: i for i, g in enumerate(GRAPHEMES)}


@dataclass(frozen=True, eq=False)
class G2p:
    """The network and the words.

    encoder, decoder  FloatGru, C = H = 256
    enc_emb  float32 [29,C], of GRAPHEMES
    dec_emb  float32 [74,C], of PHONEMES
    fc_w, fc_b  float32 [74,H], [74]: logits = h @ fc_w.T + fc_b
    words    lower-case headwords of the homograph list, in file order, each once
    """

    encoder: FloatGru
    decoder: FloatGru
    enc_emb: np.ndarray
    dec_emb: np.ndarray
    fc_w: np.ndarray
    fc_b: np.ndarray
    words: tuple[str, ...]


def find_folder() -> Path:
    """Folder of the installed package, found without importing it.

    Raises   MissingPart when g2p-en is not installed
    """
    spec = find_spec("g2p_en")
    if spec is None or not spec.submodule_search_locations:
        raise MissingPart("g2p_en", "examples")
    return Path(next(iter(spec.submodule_search_locations)))


def load_g2p(folder: Path | None = None) -> G2p:
    """The network and the words of g2p-en.

    folder   where checkpoint20.npz and homographs.en are; None finds the installed package
    Raises   MissingPart, ParameterError naming the array, OSError
    """
    folder = find_folder() if folder is None else folder
    model = load_model(folder / "checkpoint20.npz")
    grus = {named.name: named.gru for named in model.grus}
    for name in ("enc", "dec"):
        if name not in grus:
            raise ParameterError("checkpoint20.npz", f"without {name}_w_ih", "the weights of encoder and decoder")
    hidden = grus["enc"].hidden_size
    shapes = {
        "enc_emb": (len(GRAPHEMES), grus["enc"].input_size),
        "dec_emb": (len(PHONEMES), grus["dec"].input_size),
        "fc_w": (len(PHONEMES), hidden),
        "fc_b": (len(PHONEMES),),
    }
    arrays = {}
    for name, shape in shapes.items():
        if name not in model.arrays:
            raise ParameterError(name, "missing", f"a float array of shape {list(shape)} in checkpoint20.npz")
        arrays[name] = real_array(name, model.arrays[name], shape)
    if grus["dec"].hidden_size != hidden:
        raise ParameterError("dec_w_hh", f"of {grus['dec'].hidden_size} units", f"{hidden} units, as the encoder has")
    return G2p(grus["enc"], grus["dec"], words=read_words(folder / "homographs.en"), **arrays)


def read_words(path: Path) -> tuple[str, ...]:
    """Lower-case headwords of lines HEADWORD|..., without comments and blank lines, each once, in file order.

    Raises   ParameterError naming the file: no UTF-8, no word; OSError
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ParameterError(path.name, f"damaged (byte {error.start} is no UTF-8)", "text of lines HEADWORD|...") from None
    words = [line.split("|")[0].strip().lower() for line in lines if line.strip() and not line.startswith("#")]
    found = tuple(dict.fromkeys(w for w in words if w))
    if not found:
        raise ParameterError(path.name, "without words", "lines HEADWORD|...")
    return found


def encode(word: str) -> list[int]:
    """Indices of the letters in GRAPHEMES (others are <unk>) and of </s>."""
    return [*(_INDEX.get(c, UNKNOWN) for c in word), WORD_END]


def by_length(lengths: Sequence[int]) -> list[np.ndarray]:
    """Indices of the items of each length, shortest first: batches that need no padding."""
    array = np.asarray(lengths, np.int64)
    return [np.flatnonzero(array == n) for n in np.unique(array)]


def encoder_batches(model: G2p, words: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(indices into words, x float32 [T,N,C]) for each word length: the real inputs of the encoder, without padding."""
    codes = [encode(w) for w in words]
    return [(rows, model.enc_emb[np.array([codes[i] for i in rows]).T]) for rows in by_length([len(c) for c in codes])]


def decoder_batches(model: G2p, phonemes: Sequence[Sequence[int]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(indices, x float32 [T,N,C]) for each length: what the decoder reads while it writes these phonemes.

    phonemes  as quant_gru.transcribe gives them, without </s>; a word of n phonemes reads <s> and those n, in at most
              MAX_PHONEMES steps
    """
    read = [[START, *p][:MAX_PHONEMES] for p in phonemes]
    return [(rows, model.dec_emb[np.array([read[i] for i in rows]).T]) for rows in by_length([len(r) for r in read])]


def spell(phonemes: Sequence[int]) -> list[str]:
    """Names of phoneme indices."""
    return [PHONEMES[i] for i in phonemes]
