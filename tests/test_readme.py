"""What the README shows of Python runs, and gives what its comments say."""

import re

import numpy as np


def test_the_example_gives_a_film_of_a_held_out_episode(repo, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", (repo / "README.md").read_text(encoding="utf-8"), re.S)
    assert blocks
    monkeypatch.chdir(repo)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    film, source = names["film"], names["source"]
    assert source.episodes.regime[film.request.episode] == "interpolation"
    assert film.dream_counterfactual.obs.shape == film.real_counterfactual.obs.shape == (51, 3)
    assert film.context_to[0] == 4.9
    assert np.isfinite(film.effective).all()
    assert film.support.text
