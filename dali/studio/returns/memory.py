"""What methods lose without memory, where runs were evaluated both ways."""

from pathlib import Path

import streamlit as st

from dali.envs.spec import EnvSpec
from dali.errors import CheckpointError
from dali.export.comparison import memory_table
from dali.files.text import markdown
from dali.returns.comparison import Runs
from dali.returns.evaluation import Evaluation
from dali.returns.memory import MemoryRow, memory_rows
from dali.returns.scoring import NORMALISED
from dali.runs.folder import CONFIG, exists, weights_name
from dali.runs.scores import FILES, load_evaluation
from dali.studio.loaders import Run, Stamp, name_of, stamp


def show_memory(spec: EnvSpec, methods: dict[str, list[tuple[Run, Evaluation]]], measure: str) -> None:
    """The table of the runs with an evaluation without memory; without any, how to make one."""
    kept: dict[str, list[tuple[int, Evaluation]]] = {}
    none: dict[str, list[tuple[int, Evaluation]]] = {}
    files: list[Stamp] = []
    for name, runs in methods.items():
        for run, evaluation in runs:
            if not exists(run.folder / FILES["none"]):
                continue
            try:
                without = _load(files_of := stamp(run.folder, CONFIG, weights_name(run.folder), FILES["none"]))
            except CheckpointError as error:
                st.warning(f"**{markdown(name_of(run))}**: {markdown(error)}")
                continue
            files.append(files_of)
            kept.setdefault(name, []).append((run.config.seed, evaluation))
            none.setdefault(name, []).append((run.config.seed, without))
    st.subheader("Without memory", anchor=False)
    if not none:
        st.caption(
            "The same policies with h and s made anew at every step, so that the context alone can tell the physics: "
            "`python -m dali evaluate RUN --memory none` plays them, and they are shown here."
        )
        return
    rows = _rows(tuple(files), measure == NORMALISED, spec, kept, none)
    if not rows:
        st.caption("Too few contexts were evaluated both ways.")
        return
    head, cells, text = memory_table(rows, measure)
    st.dataframe([dict(zip(head, row, strict=True)) for row in cells], hide_index=True)
    st.caption(text)


@st.cache_data(max_entries=32, show_spinner="Drawing intervals …")
def _rows(files: tuple[Stamp, ...], normalised: bool, _spec: EnvSpec, _kept: Runs, _none: Runs) -> list[MemoryRow]:
    return memory_rows(_spec, _kept, _none, normalised)


@st.cache_resource(max_entries=64, show_spinner=False)
def _load(files: Stamp) -> Evaluation:
    return load_evaluation(Path(files[0][0]).parent, "none")
