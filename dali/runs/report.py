"""The figures of a checkpoint, all recomputed from its weights: probe, steering, effective physics, return."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dali.codes.code_map import CodeMap, fit_steering
from dali.codes.probes import ProbeEvaluation, evaluate_probe
from dali.codes.settled import informative, mean_codes, settled_codes
from dali.codes.support import Support, fit_support
from dali.dreams.observation import make_metric
from dali.dreams.steering import HORIZONS, FactorFidelity, evaluate_fidelity, steerable
from dali.envs.spec import ContextFeature, EnvSpec
from dali.episodes import Episodes, collect_standard
from dali.errors import DaliError
from dali.model.agent import Agent

FEWEST_STEERED = 10  # episodes; fewer give no figure of steering


@dataclass(frozen=True)
class Analysis:
    """What is known of a checkpoint's code."""

    features: tuple[ContextFeature, ...]
    episodes: Episodes
    probe: ProbeEvaluation  # on exploratory episodes, where they last
    policy_probe: ProbeEvaluation  # on episodes of the policy
    code_map: CodeMap
    support: Support
    fidelity: list[FactorFidelity]  # on exploratory episodes, where there are enough
    policy_fidelity: list[FactorFidelity]  # on episodes of the policy, whose actions answer the unchanged physics
    seed: int
    seconds: float

    def summary(self) -> dict[str, Any]:
        """The JSON object of ``python -m dali analyse --json``."""
        return {
            "probe": self._probe(self.probe),
            "probe_of_policy_episodes": self._probe(self.policy_probe),
            "steering": self._by_factor(self.fidelity, _steering),
            "steering_of_policy_episodes": self._by_factor(self.policy_fidelity, _steering),
            "effective": self._by_factor(self.fidelity, _effective),
            "contexts": {r: int((self.episodes.regime == r).sum()) // 2 for r in np.unique(self.episodes.regime)},
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
        }

    def _probe(self, evaluation: ProbeEvaluation) -> dict[str, dict[str, Any]]:
        return {
            factor.name: {
                "r2_inside": factor.r2_inside,
                "r2_outside": factor.r2_outside,
                "r2_control": factor.r2_shuffled,
                "mae_inside": factor.mae_inside,
                "unit": feature.unit,
            }
            for factor, feature in zip(evaluation.factors, self.features, strict=True)
        }

    def _by_factor(
        self, fidelity: list[FactorFidelity], figures: Callable[[FactorFidelity], dict[str, float]]
    ) -> dict[str, dict[str, float | None]]:
        """Figures by feature; each is None where too few episodes were long enough to steer."""
        found: dict[str, dict[str, float | None]] = {f.name: {**figures(f)} for f in fidelity}
        return {f.name: found.get(f.name, dict.fromkeys(_FIGURES[figures])) for f in self.features}


def _steering(f: FactorFidelity) -> dict[str, float]:
    named = {"skill": f.skill, "control": f.skill_control, "factual_error": f.factual_error}
    return {f"{name}_{horizon}": values[horizon] for name, values in named.items() for horizon in HORIZONS}


def _effective(f: FactorFidelity) -> dict[str, float]:
    return {"slope": f.slope, "r2": f.r2, "mae": f.mae, "selectivity": f.selectivity}


_FIGURES: dict[Callable[[FactorFidelity], dict[str, float]], tuple[str, ...]] = {
    _steering: tuple(f"{name}_{h}" for name in ("skill", "control", "factual_error") for h in HORIZONS),
    _effective: ("slope", "r2", "mae", "selectivity"),
}


def analyse(agent: Agent, seed: int = 0, contexts: int = 100) -> Analysis:
    """Collects episodes and computes every figure.

    The probe is fitted on training contexts and judged on held-out ones; steering uses held-out episodes alone.
    All figures are of exploratory episodes; those of the policy's own are given apart. Its recorded actions balance
    the physics they were chosen under, and replayed under another they, or a dream of them, diverge whatever the
    model knows; and what it has balanced shows little of its physics.

    Raises:
        DaliError: the method infers no code.
    """
    if not agent.method.infers_context:
        raise DaliError(f"{agent.method.title} infers no context code, so there is no code to analyse.")
    began = time.monotonic()
    episodes = collect_standard(agent, seed, contexts)
    probe = _judge_probe(informative(episodes), agent.spec, seed)
    policy_probe = _judge_probe(episodes.subset(~episodes.explored), agent.spec, seed)
    code_map = fit_steering(episodes, agent.spec)
    support = fit_support(settled_codes(episodes.subset(episodes.regime == "train")))
    metric = make_metric(agent, episodes)
    fidelity = {
        explored: evaluate_fidelity(agent, chosen, code_map, metric, seed)
        if len((chosen := steerable(episodes, explored)).obs) >= FEWEST_STEERED
        else []
        for explored in (True, False)
    }
    return Analysis(
        features=agent.spec.features,
        episodes=episodes,
        probe=probe,
        policy_probe=policy_probe,
        code_map=code_map,
        support=support,
        fidelity=fidelity[True],
        policy_fidelity=fidelity[False],
        seed=seed,
        seconds=time.monotonic() - began,
    )


def _judge_probe(episodes: Episodes, spec: EnvSpec, seed: int) -> ProbeEvaluation:
    """A linear probe of mean codes, fitted on training contexts, judged on the others."""
    return evaluate_probe(
        mean_codes(episodes),
        episodes.context,
        episodes.group,
        episodes.regime,
        held_out=episodes.regime == "interpolation",
        names=tuple(f.name for f in spec.features),
        seed=seed,
    )
