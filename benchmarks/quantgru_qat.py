"""Quantization-aware training against quantization after training, on scikit-learn's digits: rows are time steps.

    python benchmarks/quantgru_qat.py --seeds 5

A GRU of 24 units reads the eight rows of an image, a linear layer names the digit. It is trained in float; from there it is
trained on for as long in float and then quantized ("after"), or quantized and then trained on ("aware"). Prints JSON:
accuracy on the 597 images that are not trained on, for every seed.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from quant_gru import QuantGRU  # noqa: E402

TRAINED_ON = 1200
EPOCHS, MORE_EPOCHS = 30, 10
BATCH = 60


class Reader(torch.nn.Module):
    """Digits [N,8,8] to scores [N,10]."""

    def __init__(self, hidden: int = 24) -> None:
        super().__init__()
        self.gru = QuantGRU(8, hidden, batch_first=True)
        self.head = torch.nn.Linear(hidden, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.gru(images)[1][0])


def digits(seed: int) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """(images, labels) to train on and to measure on."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(seed))
    images, labels = (torch.tensor(data.images, dtype=torch.float32) / 16)[order], torch.tensor(data.target)[order]
    return (images[:TRAINED_ON], labels[:TRAINED_ON]), (images[TRAINED_ON:], labels[TRAINED_ON:])


def train(net: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int, rate: float, seed: int) -> None:
    """Adam with a cosine schedule."""
    shuffle = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=shuffle).split(BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(images[rows]), labels[rows]).backward()
            optimizer.step()
        schedule.step()


def right(net: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> int:
    """How many images are named right."""
    with torch.no_grad():
        return int((net(images).argmax(1) == labels).sum())


def quantized(net: Reader, bits: int, datapath: str, images: torch.Tensor) -> Reader:
    """A quantized copy, calibrated on the images."""
    made = copy.deepcopy(net)
    made.gru.datapath = datapath
    made.gru.set_all_bitwidth(bits, is_symmetric=False)
    made.gru.calibrate(images)
    made.gru.use_quantization = True
    return made


def run(seed: int, cases: tuple[tuple[str, int], ...], epochs: int = EPOCHS, more: int = MORE_EPOCHS) -> dict[str, int]:
    """Images named right out of 597: "float", and "<datapath> <bits> after" and "aware"."""
    known, unknown = digits(seed)
    torch.manual_seed(seed)
    net = Reader()
    train(net, *known, epochs, 1e-2, seed)
    longer = copy.deepcopy(net)
    train(longer, *known, more, 2e-3, seed)
    found = {"float": right(longer, *unknown)}
    for datapath, bits in cases:
        found[f"{datapath} {bits} after"] = right(quantized(longer, bits, datapath, known[0][:300]), *unknown)
        aware = quantized(net, bits, datapath, known[0][:300])
        train(aware, *known, more, 2e-3, seed)
        found[f"{datapath} {bits} aware"] = right(aware, *unknown)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    cases = (("pot", 4), ("pot", 8), ("mshift", 8))
    runs = [run(seed, cases) for seed in range(seeds)]
    means = {name: round(100 * sum(r[name] for r in runs) / (597 * seeds), 2) for name in runs[0]}
    print(json.dumps({"images": 597, "runs": runs, "mean_percent": means}, indent=1))


if __name__ == "__main__":
    main()
