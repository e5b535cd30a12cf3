"""How probable a model finds each of some given answers to one question about an image, compared with the others.

The question with its image is read once, and what several answers begin with, too. Only for models that
`can_read` knows: their positions continue by themselves, while other families count them in ways of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from nameplate.models.answering.keyvalues import KeyValues, Window
from nameplate.models.answering.reading import Reader, bytes_per_token, can_read, reading
from nameplate.models.answering.tries import QUESTION, Placed, Tree, trees_of
from nameplate.models.batches import FEATURES
from nameplate.models.features import vision_features
from nameplate.models.imagebatch import ImageBatch
from nameplate.models.load import LoadedModel
from nameplate.models.precision import autocast
from nameplate.models.processing import IGNORED

LOGITS_AT_ONCE: Final = 1 << 24
"""64 MB of them: about 110 tokens of answers with a vocabulary of 150 thousand."""
TREE_TOKENS: Final = 128
"""Of answers that are read in one go."""
TOKENS_AT_ONCE: Final = 2048
"""Of all images together."""
KEPT_BYTES: Final = 1 << 30
"""Of keys and values."""


def can_compare(loaded: LoadedModel) -> bool:
    """Whether `answer_shares` knows the model's family."""
    return can_read(loaded)


def answer_shares(loaded: LoadedModel, images: ImageBatch, prompt: str, answers: Sequence[str]) -> torch.Tensor:
    """Probability of each answer, whole and with its end of turn, over the sum of those of all answers.

    Args:
        loaded: of a family that `can_compare` knows.
        images: from `vision_features`.
        prompt: the question.
        answers: at least one, all different.

    Returns:
        (num_images, num_answers) float32 on the CPU; each row adds up to 1.
    """
    return answer_log_likelihoods(loaded, images, prompt, answers).softmax(dim=1)


def answer_log_likelihoods(
    loaded: LoadedModel, images: ImageBatch, prompt: str, answers: Sequence[str]
) -> torch.Tensor:
    """Log likelihood of each answer, whole and with its end of turn; arguments are those of `answer_shares`.

    Returns:
        (num_images, num_answers) float32 on the CPU.
    """
    assert can_compare(loaded), "positions of other families do not continue by themselves"
    placed = trees_of([_answer_ids(loaded, images, prompt, answer) for answer in answers], most_tokens=TREE_TOKENS)
    questions = [loaded.processor.encode(prompt, size=size).input_ids for size in images.sizes]
    widest = max(len(each.tree.tokens) for each in placed)
    places = max(map(len, questions)) + widest
    fitting = min(TOKENS_AT_ONCE // max(widest, 1), KEPT_BYTES // (places * bytes_per_token(loaded)))
    step = max(1, min(fitting, len(images)))
    found = torch.empty(len(images), len(answers))
    with reading(loaded), autocast(loaded.model.device):
        seen = images if FEATURES in images.inputs[0] else vision_features(loaded.model, images)
        for start in range(0, len(images), step):
            some = slice(start, start + step)
            features = [inputs[FEATURES].flatten(0, 1) for inputs in seen.inputs[some]]
            room = KeyValues(len(features), places)
            found[some] = _of_some(Reader(loaded, room), questions[some], features, placed, len(answers))
    return found


def _answer_ids(loaded: LoadedModel, images: ImageBatch, prompt: str, answer: str) -> list[int]:
    encoded = loaded.processor.encode(prompt, answer, size=images.sizes[0])
    return [label for label in encoded.labels if label != IGNORED]


def _of_some(
    reader: Reader,
    questions: Sequence[Sequence[int]],
    features: Sequence[torch.Tensor],
    placed: Sequence[Placed],
    num_answers: int,
) -> torch.Tensor:
    """(B, num_answers) of as many images as are read at once."""
    last = reader.read(questions, first=0, starts=[0] * len(questions), features=features)
    lengths = [len(question) for question in questions]
    found = torch.empty(len(questions), num_answers)
    for tree, answers in placed:
        hidden = last[:, None]
        if tree.tokens:
            hidden = torch.cat([_read_tree(reader, tree, lengths), hidden], dim=1)
        along = _edge_log_likelihoods(reader, hidden, tree)
        for place, path in zip(answers, tree.paths, strict=True):
            found[:, place] = along[:, path].sum(dim=1).cpu()
    return found


def _read_tree(reader: Reader, tree: Tree, lengths: Sequence[int]) -> torch.Tensor:
    """(B, T, hidden): behind each question all tokens of a tree side by side, each seeing only where it came from."""
    device = reader.device
    starts = torch.tensor(lengths, device=device)
    among = torch.zeros(len(tree.tokens), len(tree.tokens), dtype=torch.bool)
    for place, line in enumerate(tree.lines()):
        among[place, line] = True
    every = torch.arange(max(lengths) + len(tree.tokens), device=device)
    # Of each row, which places hold the question, and which token of the tree each other place holds.
    behind = every[None] - starts[:, None]
    of_tree = (behind >= 0) & (behind < len(tree.tokens))
    seen = among.to(device)[:, behind.clamp(0, len(tree.tokens) - 1)].transpose(0, 1) & of_tree[:, None]
    seen |= (behind < 0)[:, None]
    ids = torch.tensor([tree.tokens], device=device).expand(len(lengths), -1)
    places = starts[:, None] + torch.tensor(tree.depths(), device=device)
    return reader.run(reader.embed(ids), places, seen, Window(0, lengths))


def _edge_log_likelihoods(reader: Reader, hidden: torch.Tensor, tree: Tree) -> torch.Tensor:
    """(B, E) float32: of each edge's token behind its node; the question's last token stands last in `hidden`."""
    nodes = [hidden.shape[1] - 1 if edge.node == QUESTION else edge.node for edge in tree.edges]
    read = sorted(set(nodes))
    which = torch.tensor([read.index(node) for node in nodes], device=hidden.device)
    tokens = torch.tensor([edge.token for edge in tree.edges], device=hidden.device)
    found = hidden.new_empty((len(hidden), len(nodes)), dtype=torch.float32)
    step = max(1, LOGITS_AT_ONCE // (len(hidden) * reader.vocabulary))
    for start in range(0, len(read), step):
        logits = reader.logits(hidden[:, read[start : start + step]])
        mine = ((which >= start) & (which < start + step)).nonzero()[:, 0]
        of_token = logits[:, which[mine] - start, tokens[mine]]
        found[:, mine] = of_token - logits.logsumexp(dim=-1)[:, which[mine] - start]
    return found
