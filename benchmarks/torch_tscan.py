"""TS-CAN in PyTorch, to be timed by model_speed.py in a Python that has PyTorch.

    python torch_tscan.py WEIGHTS.npz INPUTS.npz CALLS

Prints, as JSON, its derivative of the inputs and the seconds of each call on one thread.
"""

import json
import sys
import time

import numpy as np
import torch
from torch.nn import functional as nn


def shifted(x):
    fold = x.shape[1] // 3
    moved = x.clone()
    moved[:-1, :fold], moved[-1, :fold] = x[1:, :fold], 0
    moved[1:, fold : 2 * fold], moved[0, fold : 2 * fold] = x[:-1, fold : 2 * fold], 0
    return moved


def tscan(weights, motion, appearance):
    """Derivative (n, 1) of motion and appearance (n, 3, 36, 36), as the authors' graph has it."""

    def conv(name, x, padding=0):
        return nn.conv2d(x, weights[f"{name}/kernel"], weights[f"{name}/bias"], padding=padding)

    def mask(name, x):
        gate = torch.sigmoid(conv(name, x))
        return gate / gate.mean(dim=(2, 3), keepdim=True) * 0.5

    seen = torch.tanh(conv("conv2d_3", torch.tanh(conv("conv2d_2", appearance, 1))))
    first = mask("conv2d_4", seen)
    seen = nn.avg_pool2d(seen, 2)
    seen = torch.tanh(conv("conv2d_8", torch.tanh(conv("conv2d_7", seen, 1))))
    second = mask("conv2d_9", seen)
    x = torch.tanh(conv("conv2d", shifted(motion), 1))
    x = nn.avg_pool2d(torch.tanh(conv("conv2d_1", shifted(x))) * first, 2)
    x = torch.tanh(conv("conv2d_5", shifted(x), 1))
    x = nn.avg_pool2d(torch.tanh(conv("conv2d_6", shifted(x))) * second, 2)
    x = x.permute(0, 2, 3, 1).flatten(1)
    x = torch.tanh(x @ weights["dense/kernel"] + weights["dense/bias"])
    return x @ weights["dense_1/kernel"] + weights["dense_1/bias"]


def main():
    torch.set_num_threads(1)
    weights = {}
    with np.load(sys.argv[1]) as stored:
        for name in stored.files:
            kernel = torch.from_numpy(stored[name]).float()
            weights[name] = kernel.permute(3, 2, 0, 1).contiguous() if kernel.ndim == 4 else kernel
    with np.load(sys.argv[2]) as stored:
        inputs = [
            torch.from_numpy(stored[name].transpose(0, 3, 1, 2).copy())
            for name in ("motion", "appearance")
        ]
    times = []
    with torch.inference_mode():
        for _ in range(int(sys.argv[3])):
            start = time.perf_counter()
            derivative = tscan(weights, *inputs)
            times.append(time.perf_counter() - start)
    print(json.dumps({"derivative": derivative[:, 0].tolist(), "seconds": times}))


if __name__ == "__main__":
    main()
