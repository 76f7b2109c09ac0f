"""Agreement of an image with its caption, as a cross-entropy in nats that is low if they agree.

CLIP is trained to tell the caption of an image from those of other images, by a softmax over the
cosines of their embeddings times a learned scale (Radford et al., arXiv:2103.00020, section 2.3).
The score is this loss of the image, with fixed other captions in place of those of a batch: so it
does not depend on the order of the images. It has the unit of a classifier's cross-entropy.
"""

import hashlib
from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from otcondense.unit_rows import unit_rows

OWN = 0
"""Column of the own caption in the logits."""


def reference_captions(captions: Iterable[str], count: int) -> list[str]:
    """Return some of the different captions, those with the smallest SHA-256, in its order.

    They are the same for any order of the images, and few of them change if images are added.
    """
    digests = {hashlib.sha256(text.encode()).hexdigest(): text for text in captions}
    return [digests[digest] for digest in sorted(digests)[:count]]


def alignment_logits(
    images: Float[Tensor, "n d"],
    captions: Float[Tensor, "n d"],
    references: Float[Tensor, "m d"],
    is_own: Bool[Tensor, "n m"],
    scale: float,
) -> Float[Tensor, "n m1"]:
    """Return the scaled cosine of each image with its own caption, then with each reference.

    Args:
        images: embeddings.
        captions: embeddings of the images' own captions.
        references: embeddings of other captions.
        is_own: where a reference has the text of the own caption: it does not compete, -inf.
        scale: the network's factor of cosines, > 0.

    Returns: logits in float64, whose softmax is the probability of each caption.
    """
    rows = _unit(images)
    own = (rows * _unit(captions)).sum(1, keepdim=True)
    others = (rows @ _unit(references).T).masked_fill(is_own, -torch.inf)
    return scale * torch.cat([own, others], dim=1)


def _unit(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    values = rows.double().numpy()
    return torch.from_numpy(unit_rows(values, [str(row) for row in range(len(values))]))
