"""What moving a dimension does to dreams, beside what the dimension tells of the physics."""

from pathlib import Path

import numpy as np
import streamlit as st

from dali.codes.disentanglement import Disentanglement
from dali.dreams.effects import HORIZON, DimensionEffect
from dali.figures.probes import effects as effects_figure
from dali.runs.cache import CACHE, EFFECTS_FILE, MOVE, load_effects
from dali.runs.checkpoint import CONFIG, WEIGHTS
from dali.studio import jobs
from dali.studio.loaders import Run, Stamp, stamp
from dali.studio.style import recomputed_by, shown_path


def show_effects(run: Run, measured: Disentanglement) -> None:
    """The plausibility test of each dimension, from the cache or by a job."""
    st.header("What the dimensions do", anchor=False)
    effects = find_effects(run)
    if effects is None:
        return
    # Of all features the one that a dimension tells most of, as a share of what there is to tell.
    entropy = np.where(measured.entropy > 0, measured.entropy, 1.0)
    told = measured.mutual_information / entropy
    tests = [effect.test for effect in effects]
    auc, low, high = (np.array([getattr(test, name) for test in tests]) for name in ("auc", "low", "high"))
    left, right = st.columns(2)
    figure = effects_figure(told.max(1), auc, low, high, "tells of one feature (share of its entropy)")
    left.plotly_chart(figure, key="effects")
    rows = [
        {
            "Dimension": f"z{effect.dimension}",
            "Tells most of": run.spec.features[int(told[i].argmax())].label,
            "AUC": f"{effect.test.auc:.2f} ({effect.test.low:.2f} to {effect.test.high:.2f})",
            "p": f"{effect.test.p_value:.3f}",
            "Change (σ)": round(effect.shift, 2),
        }
        for i, effect in enumerate(effects)
    ]
    right.dataframe(rows, hide_index=True)
    test = tests[0]
    right.caption(
        f"Plausibility test: dreams of {HORIZON} steps from {test.episodes} held-out episodes, the dimension moved by "
        f"{MOVE:g} σ either way or not. AUC: how well a cross-validated classifier tells the two kinds apart, with a "
        "95 % interval over episodes; 0.5 is chance. p: share of shuffled labels that do as well. Change: root mean "
        "square, of the dream. A dimension can tell of the physics and do nothing: then the dream does not use it."
    )
    with right:
        recomputed_by(f"python -m dali plausibility {shown_path(run.folder)}")


def find_effects(run: Run) -> list[DimensionEffect] | None:
    """The stored test of the present weights; where there is none, the job that makes it, and None."""
    path = run.folder / CACHE / EFFECTS_FILE
    if path.exists():
        effects = _stored(stamp(path.parent, path.name), stamp(run.folder, CONFIG, WEIGHTS))
        if effects is not None:
            return effects
    status = run.folder / CACHE / "plausibility.status.json"
    if jobs.running(status, "Plausibility test", "The test failed: "):
        return None
    st.markdown(
        "A dimension can tell of the physics without the dream ever using it. The plausibility test moves one "
        "dimension after the other and asks whether the dream changes; it takes some seconds to a minute."
    )
    arguments = ["plausibility", str(run.folder), "--status", str(status)]
    st.button("Test all dimensions", on_click=jobs.start, args=(arguments, status), icon=":material/play_arrow:")
    return None


@st.cache_resource(max_entries=16, show_spinner=False)
def _stored(file: Stamp, weights: Stamp) -> list[DimensionEffect] | None:
    return load_effects(Path(file[0][0]).parents[1])
