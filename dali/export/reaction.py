"""What policies react to, in words and as a table: the runs of a method together."""

from collections.abc import Mapping, Sequence

import numpy as np

from dali.envs.spec import EnvSpec
from dali.methods import METHODS
from dali.returns.estimators import Estimate
from dali.returns.sensitivity import Reaction

# By method: what a run is called, and what was measured of it.
Reactions = Mapping[str, Sequence[tuple[str, Reaction]]]


def stands_out(action: Estimate, random: Estimate) -> int:
    """1 where a feature moves the action more than random directions do, -1 where less, 0 where intervals meet."""
    return int(action.low > random.high) - int(action.high < random.low)


def reaction_sentence(method: str, runs: Sequence[tuple[str, Reaction]], spec: EnvSpec) -> str:
    """What the policies of a method react to, and what they lose on another episode's context, in one sentence."""
    parts, found = [], [reaction for _, reaction in runs]
    of = f" in {{}} of {len(found)} runs" if len(found) > 1 else ""
    for i, feature in enumerate(spec.features):
        signs = [stands_out(r.features[i].action, r.features[i].random) for r in found]
        for sign, words in ((1, "more than"), (-1, "less than")):
            if count := signs.count(sign):
                parts.append(f"{words} random directions when {feature.label} moves{of.format(count)}")
        if not any(signs):
            parts.append(f"no differently from random directions when {feature.label} moves")
    lost = [next(change for change in r.lost if change.change == "shuffled") for r in found]
    ends = [change.lost.low > 0 for change in lost]
    amounts = [change.normalised for change in lost]
    if all(a is not None for a in amounts):
        mean = f"{np.mean([a.value for a in amounts if a is not None]):.2f} of the way from random to reference"
    else:
        mean = f"{np.mean([change.lost.value for change in lost]):.1f} of its return"
    if len(ends) > 1:
        sure = f", with an interval above 0 in {sum(ends)} of {len(ends)} runs"
    else:
        sure = "" if all(ends) else ", which its interval cannot tell from nothing"
    title = METHODS[method].title
    return f"{title} changes its action {'; '.join(parts)}. Given another episode's context it loses {mean}{sure}."


def reaction_rows(reactions: Reactions, spec: EnvSpec) -> list[dict[str, str]]:
    """One row a run: the change of its action by feature, beside random directions, and the return lost."""
    rows = []
    for method, runs in reactions.items():
        for name, reaction in runs:
            row = {"Method": METHODS[method].title, "Run": name}
            for feature, found in zip(spec.features, reaction.features, strict=True):
                row[f"Action, {feature.label}"] = found.action.text(3)
                row["random directions" + (f", {feature.label}" if len(spec.features) > 1 else "")] = found.random.text(
                    3
                )
            for change in reaction.lost:
                shown = change.normalised or change.lost
                row[f"Lost, {change.change}"] = shown.text(2 if change.normalised else 1)
            rows.append(row)
    return rows
