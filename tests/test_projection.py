"""Maps of codes: exact PCA, seeded UMAP and t-SNE, and the placing of points that were not fitted."""

import numpy as np
import pytest

from dali.codes import projection
from dali.errors import DaliError

# UMAP compiles its kernels in each new process, which takes longer than all else here.
NEIGHBOUR_MAPS = [pytest.param("umap", marks=pytest.mark.slow), "tsne"]


@pytest.fixture(scope="module")
def codes():
    rng = np.random.default_rng(0)
    return np.vstack([rng.normal(size=(40, 5)), rng.normal(size=(40, 5)) + 8.0])


def test_pca_by_hand():
    codes = np.array([[3.0, 0.0, 1.0], [-3.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, -1.0, 1.0]])
    axes = projection.principal_axes(codes)
    assert np.allclose(axes.project(codes), codes[:, :2])
    assert np.allclose(axes.explained, [0.9, 0.1])


def test_pca_keeps_distances_and_its_signs(codes):
    axes = projection.principal_axes(codes, 3)
    assert np.allclose(axes.components @ axes.components.T, np.eye(3))
    assert (axes.components[np.arange(3), np.abs(axes.components).argmax(1)] > 0).all()
    flipped = projection.principal_axes(codes[::-1], 3)
    assert np.allclose(axes.components, flipped.components)
    assert np.allclose(axes.project(codes).var(0) / codes.var(0).sum(), axes.explained)


@pytest.mark.parametrize("method", NEIGHBOUR_MAPS)
def test_neighbour_maps_are_seeded_and_keep_clusters_apart(codes, method):
    one, two = (projection.project(codes, method, seed=3).points for _ in range(2))
    assert np.array_equal(one, two)
    centres = one[:40].mean(0), one[40:].mean(0)
    nearer = [np.linalg.norm(one - c, axis=1) for c in centres]
    assert (nearer[0] < nearer[1])[:40].all()
    assert (nearer[1] < nearer[0])[40:].all()


@pytest.mark.parametrize("method", NEIGHBOUR_MAPS)
def test_duplicates_share_a_point(codes, method):
    doubled = np.vstack([codes, codes[:25], codes[:1]])
    points = projection.project(doubled, method, dimensions=3).points
    assert points.shape == (106, 3)
    assert np.array_equal(points[80:105], points[:25])
    assert np.array_equal(points[105], points[0])


def test_points_over_the_limit_are_placed_by_their_neighbours(codes, monkeypatch):
    monkeypatch.setitem(projection.LIMITS, "tsne", 60)
    result = projection.project(codes, "tsne", seed=1)
    assert result.fitted.sum() == 60
    fitted = result.fitted
    assert np.allclose(projection.place(codes[~fitted], codes[fitted], result.points[fitted]), result.points[~fitted])
    assert np.array_equal(result.fitted, projection.project(codes, "tsne", seed=1).fitted)
    assert not np.array_equal(result.fitted, projection.project(codes, "tsne", seed=2).fitted)


def test_place_by_hand():
    fitted, points = np.array([[0.0], [1.0], [100.0]]), np.array([[0.0, 0.0], [4.0, 8.0], [9.0, 9.0]])
    placed = projection.place(np.array([[0.25]]), fitted, points)
    weights = np.array([1 / 0.25, 1 / 0.75, 1 / 99.75])
    assert np.allclose(placed[0], weights @ points / weights.sum())
    assert np.allclose(projection.place(np.array([[1.0]]), fitted, points), [[4.0, 8.0]])


@pytest.mark.parametrize("method", NEIGHBOUR_MAPS)
def test_few_points_are_enough_and_too_few_are_named(codes, method):
    assert np.isfinite(projection.project(codes[:8], method).points).all()
    with pytest.raises(DaliError, match=f"{method} map needs at least 8 distinct codes; found 2"):
        projection.project(np.repeat(codes[:2], 20, axis=0), method)


@pytest.mark.parametrize("method", NEIGHBOUR_MAPS)
@pytest.mark.parametrize(("size", "dimensions"), [(20, 2), (400, 3)])
def test_codes_with_one_varying_dimension_have_a_map(method, size, dimensions):
    codes = np.zeros((size, 8))
    codes[:, 3] = np.linspace(-1.0, 1.0, size)
    one, two = (projection.project(codes, method, dimensions, seed=1).points for _ in range(2))
    assert np.isfinite(one).all()
    assert np.array_equal(one, two)
    # Codes that are neighbours stay nearer to each other than to those at the other end.
    assert np.linalg.norm(np.diff(one, axis=0), axis=1).mean() < np.linalg.norm(one[0] - one[-1])


def test_a_map_that_fails_is_named_and_not_drawn(codes, monkeypatch):
    monkeypatch.setattr(projection, "_tsne", lambda codes, *rest: np.full((len(codes), 2), np.nan))
    with pytest.raises(DaliError, match="tsne gave 80 of 80 codes no place"):
        projection.project(codes, "tsne")


def test_bad_requests_are_refused(codes):
    with pytest.raises(DaliError, match="Unknown projection 'mds'"):
        projection.project(codes, "mds")
    with pytest.raises(DaliError, match="2 or 3 dimensions; found 4"):
        projection.principal_axes(codes, dimensions=4)
    with pytest.raises(DaliError, match="not finite"):
        projection.principal_axes(codes * np.nan)
    assert np.allclose(projection.principal_axes(np.ones((4, 3))).explained, 0.0)
