"""TS-CAN in NumPy and SciPy alone, written from its papers, as a second opinion on the Keras one.

Liu et al. 2020 (MTTS-CAN): the two branches, tanh convolutions, attention gates. Chen and McDuff
2018 (DeepPhys): mask = H W sigmoid(a) / (2 ||sigmoid(a)||_1). Lin et al. 2019 (TSM): the shift,
here by a third of the channels each way. All in float64, one frame and one tap at a time.
"""

import numpy as np
from scipy.special import expit


def shift(features):
    """Frames (t, h, w, c): channel thirds from the frame after, before, and from the frame."""
    frames, channels = len(features), features.shape[3]
    third = channels // 3
    shifted = np.zeros_like(features)
    for t in range(frames):
        for c in range(channels):
            source = t + 1 if c < third else t - 1 if c < 2 * third else t
            if 0 <= source < frames:
                shifted[t, :, :, c] = features[source, :, :, c]
    return shifted


def convolve(features, kernel, bias, pad):
    """Cross-correlation of (t, h, w, c) with (k, k, c, f), zeros around where `pad`."""
    size = kernel.shape[0]
    if pad:
        edge = size // 2
        features = np.pad(features, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    height, width = features.shape[1] - size + 1, features.shape[2] - size + 1
    total = np.zeros((len(features), height, width, kernel.shape[3])) + bias
    for row in range(size):
        for column in range(size):
            patch = features[:, row : row + height, column : column + width]
            total += patch @ kernel[row, column]
    return total


def halve(features):
    """Mean of each 2 x 2 block; an odd last row or column is dropped."""
    frames, height, width, channels = features.shape
    even = features[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(frames, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


def tscan(weights, motion, appearance):
    """Pulse derivative (t,) of motion and appearance (t, 36, 36, 3); t is the window."""
    w = {name: tensor.astype(np.float64) for name, tensor in weights.items()}

    def layer(name, features, pad):
        return np.tanh(convolve(features, w[name + "/kernel"], w[name + "/bias"], pad))

    def gate(name, features):
        mask = expit(convolve(features, w[name + "/kernel"], w[name + "/bias"], pad=True))
        norm = np.abs(mask).sum(axis=(1, 2, 3), keepdims=True)
        return mask.shape[1] * mask.shape[2] * mask / (2 * norm)

    motion, appearance = np.float64(motion), np.float64(appearance)
    motion = layer("conv2d_1", shift(layer("conv2d", shift(motion), pad=True)), pad=False)
    appearance = layer("conv2d_3", layer("conv2d_2", appearance, pad=True), pad=False)
    motion = halve(motion * gate("conv2d_4", appearance))
    appearance = halve(appearance)
    motion = layer("conv2d_6", shift(layer("conv2d_5", shift(motion), pad=True)), pad=False)
    appearance = layer("conv2d_8", layer("conv2d_7", appearance, pad=True), pad=False)
    motion = halve(motion * gate("conv2d_9", appearance))
    hidden = np.tanh(motion.reshape(len(motion), -1) @ w["dense/kernel"] + w["dense/bias"])
    return (hidden @ w["dense_1/kernel"] + w["dense_1/bias"])[:, 0]
