"""Pictures to a few numbers and back, by stride-2 convolutions with norm and SiLU as in DreamerV3.

An autoencoder of the pictures of the prefill, trained before anything else; then its encoder is fixed, so that what the
context code and the latent state are told of stays what it was. The decoder goes on learning within the world model.

An embedding e of one picture knows no velocity. What an agent of pixels calls its observation is the pair
(e_t, e_t - e_{t-1}), so that a token of the context encoder carries the change of both, and with it an acceleration.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dali.model.nets import NormAct, init_weights
from dali.model.shapes import Bool, Float, UInt8

LAYERS = 4  # halvings of the picture, from 64 to 4 pixels a side
SMALLEST = 4
CHUNK = 256  # pictures that are encoded or decoded at a time where no gradient is wanted


class MapNormAct(nn.Module):
    """Layer norm over a whole feature map, a weight and a bias per channel, then SiLU."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(1, channels, eps=1e-3)

    def forward(self, x: Float[Tensor, "P channels side side"]) -> Float[Tensor, "P channels side side"]:
        return F.silu(self.norm(x))


class Autoencoder(nn.Module):
    """Convolutional encoder and decoder of pictures."""

    def __init__(self, embedding: int, depth: int):
        super().__init__()
        self.embedding = embedding
        widths = [3, *(depth * 2**i for i in range(LAYERS))]
        deepest = widths[-1]
        down: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            down += [nn.Conv2d(before, after, 4, 2, 1, bias=False), MapNormAct(after)]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(deepest * SMALLEST**2, embedding))
        up: list[nn.Module] = [
            nn.Linear(embedding, deepest * SMALLEST**2, bias=False),
            NormAct(deepest * SMALLEST**2),
            nn.Unflatten(1, (deepest, SMALLEST, SMALLEST)),
        ]
        for before, after in itertools.pairwise(widths[:0:-1]):
            up += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), MapNormAct(after)]
        self.decoder = nn.Sequential(*up, nn.ConvTranspose2d(depth, 3, 4, 2, 1))
        init_weights(self)

    def encode(self, frames: UInt8[Tensor, "P 64 64 3"]) -> Float[Tensor, "P E"]:
        """Embeddings of pictures, normalised over E so that their scale is fixed."""
        x = frames.permute(0, 3, 1, 2).to(torch.float32) / 255.0 - 0.5
        return F.layer_norm(self.encoder(x), (self.embedding,))

    def decode(self, embedding: Float[Tensor, "P E"]) -> Float[Tensor, "P 64 64 3"]:
        """Pictures of embeddings, in units in which 0 is black and 1 is white, unclipped."""
        return (self.decoder(embedding) + 0.5).permute(0, 2, 3, 1)

    def loss(self, frames: UInt8[Tensor, "P 64 64 3"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """What trains the autoencoder, on pictures of which each three follow one another.

        Returns:
            The squared error summed over pixels, and the bend of the embedding's path: the mean of
            (e_{t+1} - 2 e_t + e_{t-1})². Left alone, an autoencoder gives neighbouring pictures embeddings that have
            little to do with one another, and an acceleration cannot be read from their differences.
        """
        embedding = self.encode(frames)
        before, middle, after = embedding.unflatten(0, (-1, 3)).unbind(1)
        bend = ((after - 2.0 * middle + before) ** 2).mean()
        return picture_error(self.decode(embedding), frames).mean(), bend

    @torch.no_grad()
    def embed(self, frames: UInt8[Tensor, "P 64 64 3"]) -> Float[Tensor, "P E"]:
        """As ``encode``, a few at a time and without a gradient."""
        return torch.cat([self.encode(part) for part in frames.split(CHUNK)])

    def watch(self, frames: UInt8[Tensor, "B T 64 64 3"]) -> Float[Tensor, "B T O"]:
        """Observations of pictures, at whose first there is no change."""
        embedding = self.embed(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        first = torch.zeros(frames.shape[:2], dtype=torch.bool)
        first[:, 0] = True
        return with_change(embedding, embedding.roll(1, 1), first)

    @torch.no_grad()
    def picture(self, embedding: Float[Tensor, "*B E"]) -> UInt8[Tensor, "*B 64 64 3"]:
        """Pictures of embeddings."""
        flat = embedding.reshape(-1, self.embedding)
        parts = [(self.decode(part).clamp(0.0, 1.0) * 255.0).round().to(torch.uint8) for part in flat.split(CHUNK)]
        return torch.cat(parts).unflatten(0, embedding.shape[:-1])


def picture_error(decoded: Float[Tensor, "P 64 64 3"], frames: UInt8[Tensor, "P 64 64 3"]) -> Float[Tensor, "P"]:
    """Squared error between decoded pictures and given ones in [0, 1], summed over pixels."""
    return ((decoded - frames.to(decoded.dtype) / 255.0) ** 2).sum((1, 2, 3))


def with_change(
    embedding: Float[Tensor, "*B E"], before: Float[Tensor, "*B E"], first: Bool[Tensor, "*B"]
) -> Float[Tensor, "*B 2*E"]:
    """The pair (e_t, e_t - e_{t-1}); no change where an episode is ``first``."""
    change = (embedding - before) * (~first).unsqueeze(-1)
    return torch.cat([embedding, change], -1)
