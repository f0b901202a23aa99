"""CNV-1W1A of Brevitas's examples, trained for a few epochs by its authors' recipe, against the integers it becomes.

    python -m tests.lowering.trained cifar10 cnv.onnx [data=DIR]

Adam with a rate of 0.02, the squared hinge loss, batches of 100, weights clipped to -1..1, pixels 0..1, mirrored at
random; exported by Brevitas's own exporter. Accuracy is that of PyTorch and that of the golden model of the file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from brevitas_examples.bnn_pynq.models import model_with_cfg
from brevitas_examples.bnn_pynq.models.losses import SqrHingeLoss
from torch import Tensor, nn

from bireal_hw import golden
from bireal_hw.lowering import convert
from bireal_hw.lowering.compare import compare
from bireal_hw.training.data import Data, load_data
from tests.lowering.stock import export

TRAINED_ON, TESTED_ON, EPOCHS, BATCH = 6000, 2000, 5, 100


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def train(data: Data) -> nn.Module:
    """Train the network on a data set, with a tenth of the rate in the last epoch."""
    torch.manual_seed(0)
    model, _ = model_with_cfg("cnv_1w1a", pretrained=False)
    optimizer, loss_of = torch.optim.Adam(model.parameters(), lr=0.02), SqrHingeLoss()
    for epoch in range(EPOCHS):
        if epoch == EPOCHS - 1:
            optimizer.param_groups[0]["lr"] = 0.002
        order, total = torch.randperm(len(data.train_labels)), 0.0
        for some in order.split(BATCH):
            x = data.train_images[some].float() / 255
            x = torch.where(torch.rand(len(some), 1, 1, 1) < 0.5, x.flip(3), x)
            wanted = 2.0 * nn.functional.one_hot(data.train_labels[some], data.classes) - 1
            loss = loss_of(model.train()(x), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.clip_weights(-1, 1)
            total += float(loss.detach()) * len(some)
        say(f"epoch {epoch + 1}: loss {total / len(order):.4f}")
    return model.eval()


def main() -> None:
    """Train, export, convert, and print both accuracies."""
    dataset, path, *rest = sys.argv[1:]
    folder = next((Path(one.removeprefix("data=")) for one in rest if one.startswith("data=")), None)
    data = load_data(dataset, folder, (32, 32), 3, train_images=TRAINED_ON)
    images, labels = data.test_images[:TESTED_ON], data.test_labels[:TESTED_ON]
    assert isinstance(images, Tensor)
    model = train(data)
    export(model, Path(path), (3, 32, 32))
    found = convert(Path(path))
    with torch.no_grad():
        here = torch.cat([model(some.float() / 255).argmax(1) for some in images.split(BATCH)])
    pixels = images.permute(0, 2, 3, 1).contiguous()
    there = torch.cat([torch.from_numpy(golden.run(found.graph, some.numpy()).argmax(1)) for some in pixels.split(8)])
    for who, answers in (("Brevitas", here), ("golden", there)):
        say(f"{who}: {float((answers == labels).double().mean()):.2%} of {len(labels)}")
    say(f"same class: {float((here == there).double().mean()):.2%}; {compare(found, pixels[:64].numpy()).words}")


if __name__ == "__main__":
    main()
