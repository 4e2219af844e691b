"""Learning curves: smoothing by hand, rows without a quantity, colours that stay."""

import numpy as np
import pytest

from dali.figures.generalization import METHOD_COLOURS
from dali.figures.training import (
    PALETTE,
    Curve,
    curve,
    default_quantities,
    learning_curves,
    quantities,
    smooth,
    styles_by_method,
    styles_by_run,
    title_of,
)

ROWS = [
    {"env_steps": 10, "update": 1, "loss/total": 4.0},
    {"env_steps": 20, "update": 2, "loss/total": 2.0, "return": -100.0, "zeta": 1.0},
]


def test_smoothing():
    # (1), (0.5 * 1 + 3) / 1.5, (0.25 * 1 + 0.5 * 3 + 5) / 1.75
    assert smooth(np.array([1.0, 3.0, 5.0]), 0.5) == pytest.approx([1.0, 3.5 / 1.5, 6.75 / 1.75])
    assert smooth(np.array([1.0, 3.0]), 0.0).tolist() == [1.0, 3.0]
    assert smooth(np.full(50, 7.0), 0.99) == pytest.approx(np.full(50, 7.0))  # no bias at the start
    assert len(smooth(np.empty(0), 0.9)) == 0


def test_rows_that_lack_a_quantity_are_left_out():
    one = curve("run", ROWS, "return", "update")
    assert (one.x.tolist(), one.y.tolist()) == ([2.0], [-100.0])
    assert len(curve("run", ROWS, "nothing", "update").x) == 0
    assert len(curve("run", [], "return", "update").x) == 0


def test_quantities_put_the_best_known_first():
    assert quantities([ROWS]) == ["return", "loss/total", "zeta"]
    assert title_of("updates_per_second").endswith("(1/s)")
    assert title_of("zeta") == "zeta"


def test_a_run_keeps_its_colour_whatever_else_is_shown():
    everyone = styles_by_run([f"run{i}" for i in range(len(PALETTE) + 1)])
    line = np.arange(3.0)

    def styles(names):
        figure = learning_curves([Curve(n, line, line) for n in names], "return", "update", 0.5, everyone)
        return {t.name: (t.line.color, t.line.dash) for t in figure.data if t.name}

    everything, alone = styles(everyone), styles(["run3"])
    assert everything["run3"] == alone["run3"]
    assert len(set(everything.values())) == len(everyone)  # colours come again with another dash


def test_raw_rows_stay_behind_smoothed_ones():
    one = Curve("run", np.arange(3.0), np.array([0.0, 1.0, 0.0]))
    raw, smoothed = learning_curves([one], "return", "update", 0.5, styles_by_run(["run"])).data
    assert raw.y.tolist() == one.y.tolist()
    assert smoothed.y.tolist() == smooth(one.y, 0.5).tolist()
    assert len(learning_curves([one], "return", "update", 0.0, styles_by_run(["run"])).data) == 1


def test_runs_of_one_method_share_a_colour_and_an_entry_of_the_legend():
    drawn_as = styles_by_method({"a0": "dali_d", "a1": "dali_d", "b0": "crssm_s", "odd": None})
    line = np.arange(3.0)
    figure = learning_curves([Curve(n, line, line) for n in drawn_as], "return", "update", 0.0, drawn_as)
    assert [t.line.color for t in figure.data[:2]] == [METHOD_COLOURS["dali_d"]] * 2
    assert figure.data[0].line.dash != figure.data[1].line.dash
    assert [t.name for t in figure.data if t.showlegend] == ["DALI-D", "cRSSM-S", "unknown method"]


def test_return_losses_and_probes_are_shown_first():
    known = quantities([[*ROWS, {"env_steps": 1, "update": 1, "probe/g": 0.9, "gradient/model": 1.0}]])
    assert default_quantities(known) == ["return", "loss/total", "probe/g"]


def test_losses_have_a_logarithmic_axis_where_they_can():
    x = np.arange(2.0)
    drawn_as = styles_by_run(["a"])
    for key, y, kind in (
        ("loss/total", [9.0, 0.1], "log"),
        ("loss/actor", [1.0, -1.0], None),
        ("return", [1.0, 2.0], None),
    ):
        figure = learning_curves([Curve("a", x, np.array(y))], key, "update", 0.0, drawn_as)
        assert figure.layout.yaxis.type == kind
