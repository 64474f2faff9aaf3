"""TS-CAN in PyTorch: layers named and sized as rPPG-Toolbox has them, code of its own."""

import torch
from torch import nn

FOLD_DIV = 3


def shifted(features, window):
    """A third of the channels one frame ahead, a third one back, zeros from beyond the window."""
    frames = features.unflatten(0, (-1, window))
    fold = frames.shape[2] // FOLD_DIV
    nothing = torch.zeros_like(frames[:, :1])
    ahead = torch.cat([frames[:, 1:], nothing], 1)[:, :, :fold]
    behind = torch.cat([nothing, frames[:, :-1]], 1)[:, :, fold : 2 * fold]
    return torch.cat([ahead, behind, frames[:, :, 2 * fold :]], 2).flatten(0, 1)


def attention(logits):
    mask = torch.sigmoid(logits)
    return 0.5 * mask / mask.mean(dim=(2, 3), keepdim=True)


class TorchTscan(nn.Module):
    """Inputs (frames, 3, side, side) each, output (frames, 1); an appearance image a frame."""

    def __init__(self, window=10, side_px=36):
        super().__init__()
        self.window = window
        pooled = ((side_px - 2) // 2 - 2) // 2
        for branch in ("motion", "apperance"):
            sizes = [(3, 32, 1), (32, 32, 0), (32, 64, 1), (64, 64, 0)]
            for number, (given, made, padding) in enumerate(sizes, 1):
                self.add_module(
                    f"{branch}_conv{number}", nn.Conv2d(given, made, 3, padding=padding)
                )
        self.apperance_att_conv1 = nn.Conv2d(32, 1, 1)
        self.apperance_att_conv2 = nn.Conv2d(64, 1, 1)
        self.final_dense_1 = nn.Linear(64 * pooled**2, 128)
        self.final_dense_2 = nn.Linear(128, 1)

    def forward(self, motion, appearance):
        pool = nn.functional.avg_pool2d
        seen = self._twice("apperance_conv1", "apperance_conv2", appearance)
        first = attention(self.apperance_att_conv1(seen))
        seen = self._twice("apperance_conv3", "apperance_conv4", pool(seen, 2))
        second = attention(self.apperance_att_conv2(seen))
        moved = pool(self._twice("motion_conv1", "motion_conv2", motion, self.window) * first, 2)
        moved = pool(self._twice("motion_conv3", "motion_conv4", moved, self.window) * second, 2)
        return self.final_dense_2(torch.tanh(self.final_dense_1(moved.flatten(1))))

    def _twice(self, one, other, features, window=None):
        for name in (one, other):
            features = shifted(features, window) if window else features
            features = torch.tanh(self.get_submodule(name)(features))
        return features
