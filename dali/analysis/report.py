"""The figures of a checkpoint, all recomputed from its weights: probe, steering, effective physics, return."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from dali.analysis.code_map import CodeMap, fit_code_map
from dali.analysis.fidelity import FactorFidelity, evaluate_fidelity
from dali.analysis.probes import ProbeEvaluation, evaluate_probe
from dali.analysis.rollouts import Episodes, collect_standard
from dali.analysis.support import Support, fit_support
from dali.envs.spec import EnvSpec
from dali.errors import DaliError
from dali.model.agent import Agent

SETTLED = 32  # records after which a code has seen enough to be averaged over the episode


@dataclass(frozen=True)
class Analysis:
    """What is known of a checkpoint's code."""

    episodes: Episodes
    probe: ProbeEvaluation
    code_map: CodeMap
    support: Support
    fidelity: list[FactorFidelity]
    seed: int
    seconds: float

    def summary(self) -> dict[str, Any]:
        """The JSON object of ``python -m dali analyse --json``."""
        units = {f.name: f.unit for f in self.fidelity}
        return {
            "probe": {
                f.name: {
                    "r2_inside": f.r2_inside,
                    "r2_outside": f.r2_outside,
                    "r2_control": f.r2_shuffled,
                    "mae_inside": f.mae_inside,
                    "unit": units[f.name],
                }
                for f in self.probe.factors
            },
            "steering": {
                f.name: {f"skill_{h}": v for h, v in f.skill.items()}
                | {f"control_{h}": v for h, v in f.skill_control.items()}
                | {f"factual_error_{h}": v for h, v in f.factual_error.items()}
                for f in self.fidelity
            },
            "effective": {
                f.name: {"slope": f.slope, "r2": f.r2, "mae": f.mae, "selectivity": f.selectivity, "unit": f.unit}
                for f in self.fidelity
            },
            "contexts": {r: int((self.episodes.regime == r).sum()) // 2 for r in np.unique(self.episodes.regime)},
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
        }


def settled_records(episodes: Episodes) -> np.ndarray:
    """(E, T + 1) bool: records whose code has seen enough; of an episode that ended before that, the last one."""
    alive = episodes.alive()
    settled = alive & (np.arange(alive.shape[1]) >= SETTLED)
    last = np.arange(alive.shape[1]) == episodes.length[:, None]
    return np.where(settled.any(1, keepdims=True), settled, last)


def settled_codes(episodes: Episodes) -> np.ndarray:
    """(M, Z) codes of all settled records."""
    return episodes.code[settled_records(episodes)]


def mean_codes(episodes: Episodes) -> np.ndarray:
    """(E, Z) codes averaged over the settled records of each episode."""
    weight = settled_records(episodes)[..., None]
    return (episodes.code * weight).sum(1) / weight.sum(1)


def fit_steering(episodes: Episodes, spec: EnvSpec) -> CodeMap:
    """The code map, from training contexts alone."""
    train = episodes.subset(episodes.regime == "train")
    low, high = np.array([f.train for f in spec.features]).T
    return fit_code_map(mean_codes(train), train.context, train.group, low, high)


def analyse(agent: Agent, seed: int = 0, contexts: int = 100) -> Analysis:
    """Collects episodes and computes every figure.

    The probe is fitted on training contexts and judged on held-out ones; steering uses held-out episodes alone.

    Raises:
        DaliError: the method infers no code.
    """
    if not agent.method.infers_context:
        raise DaliError(f"{agent.method.title} infers no context code, so there is no code to analyse.")
    began = time.monotonic()
    episodes = collect_standard(agent, seed, contexts)
    probe = evaluate_probe(
        mean_codes(episodes),
        episodes.context,
        episodes.group,
        episodes.regime,
        held_out=episodes.regime == "interpolation",
        names=tuple(f.name for f in agent.spec.features),
        seed=seed,
    )
    code_map = fit_steering(episodes, agent.spec)
    support = fit_support(settled_codes(episodes.subset(episodes.regime == "train")))
    fidelity = evaluate_fidelity(agent, episodes, code_map, seed)
    return Analysis(episodes, probe, code_map, support, fidelity, seed, time.monotonic() - began)
