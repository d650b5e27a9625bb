"""Logits to tokens, with every parameter of the schema. Knows rows, no sequences.

The order is: repetition penalty (prompt and output), frequency and presence penalty (output),
mask, temperature, top-k, top-p, draw. All arithmetic is float64 on one row, so a row's token
depends on nothing but the row, the parameters, the seed and the position. `sample_plainly` is the
definition; the C++ extension, where it is there, gives the same tokens faster.
"""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from homerun.native import extension, native_available
from homerun.types import SamplingParams

FIRST_CANDIDATES = 64
GROWTH = 16
"""How many candidates are ranked first, and how many times as many where the token is not among
them. Any values give the same token; sorting a whole large vocabulary takes tens of ms."""

_HUGE = 1e300
"""A tiny repetition penalty may not make a finite logit infinite."""

PURPOSE_TOKEN = 0
"""Third word of the random counter: what the number is for."""

NOT_FINITE = -1
"""What `sample_rows` gives for a row for which `sample` would raise NotFinite."""


class NotFinite(ValueError):
    """The logits of a row hold NaN or only -inf: nothing can be chosen."""


class Chooser:
    """The parameters of one sequence, made ready once for all its tokens."""

    __slots__ = ("choice", "compiled", "needs_tokens", "params", "seed")

    def __init__(self, params: SamplingParams, seed: int, choice: int = 0) -> None:
        """`seed` and `choice` are 64 bits: see `uniform`."""
        self.params = params
        self.seed = seed
        self.choice = choice
        self.needs_tokens = bool(
            params.repetition_penalty or params.frequency_penalty or params.presence_penalty
        )
        """False: no penalty is on, and the previous tokens need not be given."""
        self.compiled: Any = None
        if native_available():
            self.compiled = extension().Sampling(
                params.temperature,
                params.top_p,
                params.top_k,
                params.repetition_penalty,
                params.frequency_penalty,
                params.presence_penalty,
                seed,
                choice,
            )


class Row(NamedTuple):
    """One token to choose."""

    chooser: Chooser
    position: int
    """Absolute position of the token, 0 = first token of the prompt."""
    tokens: NDArray[np.int32] | memoryview | None = None
    """int32 [n]: the prompt and the output before the token. None if no penalty is on."""
    prompt_length: int = 0
    """How many of `tokens` are the prompt."""
    mask: NDArray[np.int32] | None = None
    """int32 [ceil(vocab / 32)]: bit t % 32 of word t // 32 is set if token t is allowed."""


def sample_rows(logits: NDArray[np.float32], rows: Sequence[Row]) -> list[int]:
    """One token per row of `logits` (float32 [len(rows), vocab]); NOT_FINITE where none can be.

    Rows share the threads of the kernels; each has the token it has alone. Raises ValueError if a
    previous token is not in the vocabulary or a shape is wrong.
    """
    if native_available():
        compiled = [(r.chooser.compiled, r.position, *r[2:]) for r in rows]
        return extension().sample_rows(np.ascontiguousarray(logits), compiled)
    tokens: list[int] = []
    for row, values in zip(rows, logits, strict=True):
        previous: list[int] = [] if row.tokens is None else row.tokens.tolist()
        try:
            token = sample_plainly(
                values,
                row.chooser.params,
                prompt_ids=previous[: row.prompt_length],
                output_ids=previous[row.prompt_length :],
                seed=row.chooser.seed,
                position=row.position,
                choice=row.chooser.choice,
                mask=row.mask,
            )
        except NotFinite:
            token = NOT_FINITE
        tokens.append(token)
    return tokens


def sample(
    logits: NDArray[np.float32],
    params: SamplingParams,
    *,
    prompt_ids: Sequence[int],
    output_ids: Sequence[int],
    seed: int,
    position: int,
    choice: int = 0,
    mask: NDArray[np.int32] | None = None,
) -> int:
    """Chooses the token that comes at `position` (absolute, 0 = first token of the prompt).

    `logits` is float32 [vocab] and is not changed; `mask` as in `Row`. Raises NotFinite.
    """
    chooser = Chooser(params, seed, choice)
    tokens = np.array([*prompt_ids, *output_ids], np.int32) if chooser.needs_tokens else None
    prompt_length = 0 if tokens is None else len(prompt_ids)
    token = sample_rows(logits[None], [Row(chooser, position, tokens, prompt_length, mask)])[0]
    if token == NOT_FINITE:
        raise NotFinite("logits are not finite")
    return token


def sample_plainly(
    logits: NDArray[np.float32],
    params: SamplingParams,
    *,
    prompt_ids: Sequence[int],
    output_ids: Sequence[int],
    seed: int,
    position: int,
    choice: int = 0,
    mask: NDArray[np.int32] | None = None,
) -> int:
    """What `sample` means, in NumPy."""
    scores = penalized(logits, params, prompt_ids, output_ids)
    if mask is not None:
        scores[~allowed(mask, len(scores))] = -np.inf
    best = int(np.argmax(scores))
    # argmax returns a NaN's index if there is one.
    if not np.isfinite(scores[best]):
        raise NotFinite("logits are not finite")
    if params.temperature == 0:
        return best
    # Shifted before it is multiplied: a tiny temperature then gives -inf, never inf - inf.
    sharpness = min(1 / params.temperature, sys.float_info.max)
    with np.errstate(over="ignore"):
        scores = (scores - scores[best]) * sharpness
    return draw(scores, params, uniform(seed, position, choice))


def allowed(mask: NDArray[np.int32], vocab: int) -> NDArray[np.bool_]:
    """The bits of `Row.mask`, one per token."""
    octets = mask.astype("<i4").view(np.uint8)
    return np.unpackbits(octets, bitorder="little")[:vocab].astype(bool)


def penalized(
    logits: NDArray[np.float32],
    params: SamplingParams,
    prompt_ids: Sequence[int],
    output_ids: Sequence[int],
) -> NDArray[np.float64]:
    """float64 copy of `logits` [vocab] after all penalties.

    Repetition as in CTRL (Keskar et al. 2019): a seen token's logit is divided by the penalty
    if positive, multiplied if not; 0 and 1 are off. Frequency and presence as OpenAI's API
    defines them: logit - count x frequency - (count > 0) x presence.
    """
    scores = logits.astype(np.float64)
    if params.repetition_penalty:
        seen = np.zeros(len(scores), dtype=bool)
        seen[_ids(prompt_ids)] = True
        seen[_ids(output_ids)] = True
        values = scores[seen]
        penalty = params.repetition_penalty
        with np.errstate(over="ignore"):
            scaled = np.where(values > 0, values / penalty, values * penalty)
        scores[seen] = np.clip(scaled, -_HUGE, _HUGE)  # keeps NaN
    if (params.frequency_penalty or params.presence_penalty) and output_ids:
        seen, counts = np.unique(_ids(output_ids), return_counts=True)
        scores[seen] -= counts * (params.frequency_penalty or 0.0)
        scores[seen] -= params.presence_penalty or 0.0
    return scores


def draw(scores: NDArray[np.float64], params: SamplingParams, u: float) -> int:
    """Inverse CDF at `u` in [0, 1) over softmax(`scores`) after top-k and top-p.

    Candidates stand in order (probability descending, id ascending). `top_p` keeps the shortest
    beginning of that order whose share is at least `top_p`, measured after top-k. What weighs 0
    is never drawn. Only as many candidates are ranked as the answer needs; `draw_plainly` is the
    definition.
    """
    vocab = len(scores)
    kept = min(params.top_k or vocab, vocab)
    if kept == vocab:
        total = float(np.sum(np.exp(scores)))
        count = min(FIRST_CANDIDATES, vocab)
    else:
        total = None
        count = kept
    while True:
        ids = ranked(scores, count)
        weights = np.exp(scores[ids])
        mass = np.cumsum(weights)
        whole = float(mass[-1]) if total is None else total
        target = u * whole
        if params.top_p is not None and params.top_p < 1:
            enough = params.top_p * whole
            last = int(np.searchsorted(mass, enough, side="left"))
            if last >= count and count < kept:
                count = min(count * GROWTH, kept)
                continue
            last = min(last, count - 1)
            target = u * float(mass[last])
        else:
            last = count - 1
            if target >= mass[-1] and count < kept:
                count = min(count * GROWTH, kept)
                continue
        last = min(last, int(np.count_nonzero(weights)) - 1)
        return int(ids[min(int(np.searchsorted(mass, target, side="right")), last)])


def draw_plainly(scores: NDArray[np.float64], params: SamplingParams, u: float) -> int:
    """What `draw` means, written without shortcuts: sort everything, then cut and walk."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    kept = order[: params.top_k] if params.top_k else order
    total = float(np.sum(np.exp(scores))) if len(kept) == len(order) else None
    kept = [i for i in kept if np.exp(scores[i]) > 0]
    weights = np.exp(scores[kept])
    mass: list[float] = []
    running = 0.0
    for weight in weights:
        running += float(weight)
        mass.append(running)
    whole = running if total is None else total
    last = len(kept) - 1
    target = u * whole
    if params.top_p is not None and params.top_p < 1:
        last = next((i for i, m in enumerate(mass) if m >= params.top_p * whole), last)
        target = u * mass[last]
    return kept[next((i for i, m in enumerate(mass[: last + 1]) if m > target), last)]


def ranked(scores: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Ids of the `count` best scores, in order (score descending, id ascending)."""
    vocab = len(scores)
    if count >= vocab:
        return np.argsort(-scores, kind="stable")
    worst = np.partition(scores, vocab - count)[vocab - count]
    ids = np.flatnonzero(scores >= worst)  # ascending; ties with the worst included
    return ids[np.argsort(-scores[ids], kind="stable")][:count]


def uniform(seed: int, position: int, choice: int = 0, purpose: int = PURPOSE_TOKEN) -> float:
    """A number in [0, 1) that is a pure function of its arguments (64 bits each) with 53 bits.

    Philox4x64-10 (Salmon et al. 2011): key = (seed, 0), counter = (position, choice, purpose, 0);
    the first output word, its upper 53 bits.
    """
    counter = position | choice << 64 | purpose << 128
    # NumPy's generator counts up before it draws.
    philox = np.random.Philox(key=seed, counter=(counter - 1) % (1 << 256))
    return (int(philox.random_raw()) >> 11) * 2.0**-53


def _ids(tokens: Sequence[int]) -> NDArray[np.int64]:
    return np.asarray(tokens, dtype=np.int64)
