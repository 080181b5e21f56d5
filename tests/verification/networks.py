"""A very small grapheme-to-phoneme checkpoint and a small GRU file, for tests of the commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np

WORDS = "# headword|...\nabuse|x\nbass|x\nclose|x\ndove|x\nlead|x\nread|x\nwind|x\ntear|x\n"
UNITS = 6


def weights(rng: np.random.Generator, prefix: str, inputs: int, hidden: int) -> dict[str, np.ndarray]:
    shapes = {"w_ih": (3 * hidden, inputs), "w_hh": (3 * hidden, hidden), "b_ih": (3 * hidden,), "b_hh": (3 * hidden,)}
    return {f"{prefix}_{name}": rng.standard_normal(shape).astype(np.float32) / 2 for name, shape in shapes.items()}


def write_g2p(folder: Path) -> Path:
    """checkpoint20.npz and homographs.en with 6 units."""
    rng = np.random.default_rng(3)
    arrays = weights(rng, "enc", UNITS, UNITS) | weights(rng, "dec", UNITS, UNITS)
    for name, shape in (("enc_emb", (29, UNITS)), ("dec_emb", (74, UNITS)), ("fc_w", (74, UNITS)), ("fc_b", (74,))):
        arrays[name] = rng.standard_normal(shape).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "checkpoint20.npz", **arrays)
    (folder / "homographs.en").write_text(WORDS, encoding="utf-8")
    return folder


def torch_names(seed: int = 1, inputs: int = 3, hidden: int = 4) -> dict[str, np.ndarray]:
    """Weights of one layer by the names of torch.nn.GRU."""
    rng = np.random.default_rng(seed)
    names = {"w_ih": "weight_ih_l0", "w_hh": "weight_hh_l0", "b_ih": "bias_ih_l0", "b_hh": "bias_hh_l0"}
    return {names[key[2:]]: value for key, value in weights(rng, "x", inputs, hidden).items()}


def write_gru(path: Path, **changes: np.ndarray | None) -> Path:
    """A .npz of one layer; a change of None leaves an array out."""
    arrays = {k: v for k, v in (torch_names() | changes).items() if v is not None}
    np.savez(path, **arrays)
    return path
