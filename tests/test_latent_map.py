"""What the browser tells of a selection, read right."""

from dali.studio.latent.map import _corners, _record


def test_a_box_has_four_corners_and_a_lasso_its_own():
    axes, corners = _corners({"xref": "x", "yref": "y", "x": [0, 2], "y": [1, 5]})
    assert (axes, corners.tolist()) == ([0, 1], [[0, 1], [2, 1], [2, 5], [0, 5]])
    _, corners = _corners({"xref": "x", "yref": "y", "x": [0, 2, 1], "y": [0, 0, 3]})
    assert corners.tolist() == [[0, 0], [2, 0], [1, 3]]


def test_a_selection_in_the_grid_is_on_the_two_dimensions_of_its_cell():
    axes, _ = _corners({"xref": "x3", "yref": "y6", "x": [0, 1], "y": [0, 1]})
    assert axes == [2, 5]
    axes, _ = _corners({"xref": "x", "yref": "y2", "x": [0, 1], "y": [0, 1]})
    assert axes == [0, 1]


def test_a_clicked_point_is_read_off_its_custom_data_in_either_form():
    assert _record([3.0, 60.0, 9.8]) == (3, 60)
    assert _record({"0": 3.0, "1": 60.0, "2": 9.8}) == (3, 60)
    assert _record([0.5]) is None
    assert _record(None) is None
