"""The training page: logs of runs, trained or in training."""

import contextlib
from collections import Counter

import streamlit as st

from dali.config import RunConfig
from dali.errors import CheckpointError
from dali.figures import training as figures
from dali.files.text import code_span
from dali.methods import METHODS
from dali.returns.comparison import setting
from dali.runs.folder import METRICS, exists
from dali.runs.run import Run
from dali.studio.folders import checkpoints_folders, names_of

REFRESH = 3.0  # seconds between looks at a run in training
# Session state: names chosen, names that have been offered, methods whose runs were chosen together.
CHOSEN, SEEN, BY_METHOD = "training_runs", "training_seen", "training_methods"
CHART_WIDTH = 500  # px: two beside each other on a wide screen, one on a narrow one
MANY = 4  # runs, beyond which methods choose them and colour them


def logged_runs() -> dict[str, Run]:
    """All runs with a log, by what they are called; those before their first checkpoint have no configuration yet."""
    runs = []
    for folder in checkpoints_folders():
        with contextlib.suppress(OSError):  # there is none, or the list of checkpoints says what is wrong with it
            runs += [run for run in map(Run, sorted(folder.iterdir())) if exists(run.folder / METRICS)]
    return dict(zip(names_of(runs), runs, strict=True))


def folders_text() -> str:
    """Where runs are looked for, in words."""
    return " or ".join(code_span(folder) for folder in checkpoints_folders())


def method_of(run: Run) -> str | None:
    """A run's method; None before the first checkpoint, or where the configuration cannot be read."""
    config = _config(run)
    return config.method_name if config else None


def setting_of(run: Run) -> RunConfig | None:
    """What a run has in common with runs that it may be compared with; None as for ``method_of``."""
    config = _config(run)
    return setting(config) if config else None


def _config(run: Run) -> RunConfig | None:
    try:
        return run.config
    except CheckpointError:
        return None


def choose_runs(runs: dict[str, Run]) -> dict[str, Run]:
    """The picker; runs in training are chosen at first, later all that appear, since a short one may have ended."""
    session = st.session_state
    live = [name for name, run in runs.items() if run.is_live()]
    before = session.get(CHOSEN)
    if before is None:
        chosen = live or _one_of_each(runs)
    else:
        fresh = [name for name in runs if name not in session[SEEN]]
        chosen = [name for name in before if name in runs] + fresh
    session["training_picker"], session[SEEN] = chosen, set(runs)
    _choose_by_method(runs)
    session[CHOSEN] = st.multiselect(
        "Runs",
        list(runs),
        key="training_picker",
        on_change=lambda: session.update({CHOSEN: session["training_picker"], BY_METHOD: []}),
        format_func=lambda name: f"{name} (in training)" if runs[name].is_live() else name,
    )
    return {name: runs[name] for name in session[CHOSEN]}


def many(runs: dict[str, Run]) -> bool:
    """True where runs are better told apart by their method."""
    return len(runs) > MANY


def _one_of_each(runs: dict[str, Run]) -> list[str]:
    """The first run of each method, among those that differ in method and seed alone, where most runs do."""
    usual = Counter(map(setting_of, runs.values())).most_common(1)[0][0]
    alike = [(name, run) for name, run in runs.items() if setting_of(run) == usual]
    return list({method_of(run): name for name, run in reversed(alike)}.values())[::-1]


def _choose_by_method(runs: dict[str, Run]) -> None:
    """Buttons that choose all runs of some methods together, where there are enough runs to make that worth it."""
    if not many(runs):
        return
    methods = {name: method_of(run) for name, run in runs.items()}

    def choose() -> None:
        wanted = st.session_state[BY_METHOD]
        st.session_state[CHOSEN] = [name for name, method in methods.items() if method in wanted]

    st.pills(
        "All runs of",
        [name for name in METHODS if name in methods.values()],
        selection_mode="multi",
        format_func=lambda name: METHODS[name].title,
        key=BY_METHOD,
        on_change=choose,
    )


def styles(runs: dict[str, Run], by_method: bool) -> dict[str, figures.Style]:
    """How every run is drawn: in a colour of its own, or in its method's."""
    if by_method:
        return figures.styles_by_method({name: method_of(run) for name, run in runs.items()})
    return figures.styles_by_run(list(runs))


def show_curves(
    runs: dict[str, Run], keys: list[str], axis: str, weight: float, drawn_as: dict[str, figures.Style], wait: bool
) -> None:
    """The curves, drawn anew every few seconds while any run trains; the page follows as runs come and end.

    Args:
        wait: a training was started that may not have written anything yet.
    """
    before = _standing()
    following = any(before.values()) or wait

    @st.fragment(run_every=REFRESH if following else None)
    def draw() -> None:
        if _standing() != before:
            st.rerun()
        logs = {name: run.log().rows for name, run in runs.items()}
        row = st.container(horizontal=True)
        for key in keys:
            place = row.container(width=CHART_WIDTH if len(keys) > 1 else "stretch")
            curves = [figures.curve(name, rows, key, axis) for name, rows in logs.items()]
            drawn = [c for c in curves if len(c.x)]
            if drawn:
                figure = figures.learning_curves(drawn, key, axis, weight, drawn_as)
                place.plotly_chart(figure, key=f"curve:{key}", config={"displaylogo": False})
            else:
                place.caption(f"Nothing logged yet: {figures.title_of(key)}.")
        if any(key.startswith("probe/") for key in keys):
            st.caption(figures.PROBE_TEXT)
        last = {name: logs[name][-1] for name, run in runs.items() if run.is_live() and logs[name]}
        if last:
            steps = "; ".join(f"{name} at {row['env_steps']:,} environment steps" for name, row in last.items())
            st.caption(f"In training, read every {REFRESH:g} s: {steps}.")

    draw()


def can_be_opened(run: Run) -> bool:
    """False before a run's first checkpoint."""
    return run.has_weights or run.figures_only


def _standing() -> dict[str, bool]:
    """Run name -> whether it trains now."""
    return {name: run.is_live() for name, run in logged_runs().items()}
