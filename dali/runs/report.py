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
from dali.codes.typical import REPEATS, TypicalCodes, typical_codes
from dali.dreams.closed_form import LawCheck, check_laws
from dali.dreams.counterfactual import Engine, check_engine, dream_from_observations
from dali.dreams.observation import make_metric, observer_of
from dali.dreams.steering import HORIZONS, FactorFidelity, evaluate_fidelity, steerable
from dali.envs import catalogue
from dali.envs.spec import ContextFeature, EnvSpec
from dali.episodes import Episodes, collect_exploration, collect_standard
from dali.errors import DaliError
from dali.model.agent import Agent

FEWEST_STEERED = 10  # episodes; fewer give no figure of steering


@dataclass(frozen=True)
class DreamFigures:
    """How the dreams of one engine follow physics."""

    explored: list[FactorFidelity]  # on exploratory episodes, where there are enough
    policy: list[FactorFidelity]  # on episodes of the policy, whose actions answer the unchanged physics
    laws: list[LawCheck]  # closed forms that the dreams are held against


@dataclass(frozen=True)
class Analysis:
    """What is known of a checkpoint's code."""

    features: tuple[ContextFeature, ...]
    episodes: Episodes
    probe: ProbeEvaluation  # on exploratory episodes, where they last
    policy_probe: ProbeEvaluation  # on episodes of the policy
    typical: TypicalCodes  # what the code map is fitted on
    code_map: CodeMap
    support: Support
    dreams: dict[Engine, DreamFigures]  # by what dreamed
    seed: int
    seconds: float

    def summary(self, engine: Engine = "rssm") -> dict[str, Any]:
        """The JSON object of ``python -m dali analyse --engine ENGINE --json``."""
        dreams = self.dreams[engine]
        return {
            "engine": engine,
            "probe": self._probe(self.probe),
            "probe_of_policy_episodes": self._probe(self.policy_probe),
            "steering": self._by_factor(dreams.explored, _steering),
            "steering_of_policy_episodes": self._by_factor(dreams.policy, _steering),
            "effective": self._by_factor(dreams.explored, _effective),
            "closed_form": {law.law: law.summary() for law in dreams.laws},
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
        self, fidelity: list[FactorFidelity], figures: Callable[[FactorFidelity], dict[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """Figures by feature; each is None where too few episodes were long enough to steer."""
        found: dict[str, dict[str, Any]] = {f.name: {**figures(f)} for f in fidelity}
        return {f.name: found.get(f.name, dict.fromkeys(_FIGURES[figures])) for f in self.features}


def _steering(f: FactorFidelity) -> dict[str, Any]:
    named = {"skill": f.skill, "control": f.skill_control, "factual_error": f.factual_error}
    figures: dict[str, Any] = {f"{name}_{h}": values[h] for name, values in named.items() for h in HORIZONS}
    return figures | {"skill_25_median": f.skill_median[HORIZONS[0]], "skill_25_interval": list(f.skill_interval)}


def _effective(f: FactorFidelity) -> dict[str, float | None]:
    return {"slope": f.slope, "r2": f.r2, "mae": f.mae, "selectivity": f.selectivity}


_FIGURES: dict[Callable[[FactorFidelity], dict[str, Any]], tuple[str, ...]] = {
    _steering: (
        *(f"{name}_{h}" for name in ("skill", "control", "factual_error") for h in HORIZONS),
        "skill_25_median",
        "skill_25_interval",
    ),
    _effective: ("slope", "r2", "mae", "selectivity"),
}


def analyse(agent: Agent, seed: int = 0, contexts: int = 100, dreamers: tuple[Engine, ...] = ("rssm",)) -> Analysis:
    """Collects episodes and computes every figure, those of dreams for each engine asked for.

    The probe is fitted on training contexts and judged on held-out ones; steering uses held-out episodes alone.
    All figures are of exploratory episodes; those of the policy's own are given apart. Its recorded actions balance
    the physics they were chosen under, and replayed under another they, or a dream of them, diverge whatever the
    model knows; and what it has balanced shows little of its physics.

    Raises:
        DaliError: the method infers no code, or the agent lacks an engine.
    """
    for engine in dreamers:
        check_engine(agent, engine)
    if not agent.method.infers_context:
        raise DaliError(f"{agent.method.title} infers no context code, so there is no code to analyse.")
    began = time.monotonic()
    episodes = collect_standard(agent, seed, contexts)
    probe = _judge_probe(informative(episodes), agent.spec, seed)
    policy_probe = _judge_probe(episodes.subset(~episodes.explored), agent.spec, seed)
    typical = typical_codes(collect_exploration(agent, REPEATS, seed + 1))
    code_map = fit_steering(episodes, agent.spec, typical)
    support = fit_support(settled_codes(episodes.subset(episodes.regime == "train")))
    metric = make_metric(agent, episodes)

    def steered(explored: bool, engine: Engine) -> list[FactorFidelity]:
        chosen = steerable(episodes, explored)
        # Errors of steered dreams are errors against a simulator that goes on from a recorded state.
        restores = catalogue.simulator_class(agent.spec.name).restores_state
        enough = restores and len(chosen.obs) >= FEWEST_STEERED
        return evaluate_fidelity(agent, chosen, code_map, metric, seed, engine) if enough else []

    return Analysis(
        features=agent.spec.features,
        episodes=episodes,
        probe=probe,
        policy_probe=policy_probe,
        typical=typical,
        code_map=code_map,
        support=support,
        dreams={
            engine: DreamFigures(steered(True, engine), steered(False, engine), _laws(agent, code_map, engine))
            for engine in dreamers
        },
        seed=seed,
        seconds=time.monotonic() - began,
    )


def _laws(agent: Agent, code_map: CodeMap, engine: Engine) -> list[LawCheck]:
    """Closed forms against dreams under the code that the map gives each physics; none for an agent of pixels."""
    if observer_of(agent).pictures:
        return []

    def dreamer(obs: np.ndarray, actions: np.ndarray, contexts: np.ndarray) -> np.ndarray:
        return dream_from_observations(agent, obs, actions, code_map.predict(contexts), engine)

    return check_laws(agent.spec, dreamer)


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
