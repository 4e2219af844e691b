"""What methods lose without memory: the same policies with h and s made anew at every step, beside those that remember.

What a policy without memory does under physics that it is not told, its context alone can have told it.
"""

from dataclasses import dataclass, replace

from dali.envs.spec import EnvSpec
from dali.methods import METHODS
from dali.returns.comparison import DRAWS, Runs, against, interquartile_means
from dali.returns.differences import Difference
from dali.returns.estimators import Estimate
from dali.returns.scoring import score


@dataclass(frozen=True)
class MemoryRow:
    """One method, over the runs that were evaluated both ways. Estimates are by regime."""

    method: str
    seeds: tuple[int, ...]
    kept: dict[str, Estimate]  # IQM
    none: dict[str, Estimate]
    difference: dict[str, Difference]  # without memory less with it, paired by run


def memory_rows(spec: EnvSpec, kept: Runs, none: Runs, normalised: bool = True, draws: int = DRAWS) -> list[MemoryRow]:
    """A row for each method with runs that were evaluated both ways, on the contexts that these share.

    Args:
        kept, none: runs by method, as (training seed, evaluation), with memory and without.
    """
    rows = []
    for name in METHODS:
        with_memory, without = dict(kept.get(name, ())), dict(none.get(name, ()))
        seeds = sorted(set(with_memory) & set(without))
        if not seeds:
            continue
        found = score(spec, [runs[number] for runs in (with_memory, without) for number in seeds], normalised)
        first, second = (replace(found, runs=part) for part in (found.runs[: len(seeds)], found.runs[len(seeds) :]))
        versus = against(second, seeds, first, seeds, draws)
        if not versus:
            continue  # too few contexts for an interval
        rows.append(
            MemoryRow(
                method=name,
                seeds=tuple(seeds),
                kept=interquartile_means(first, draws),
                none=interquartile_means(second, draws),
                difference={regime: found.told for regime, found in versus.items()},
            )
        )
    return rows
