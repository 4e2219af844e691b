"""Dreams along a path of codes drawn: one film whose code turns, or small multiples, one for each code.

Shapes: T = H + 1 frames, N codes, P pixels a side, F context features.
"""

from itertools import pairwise

import numpy as np

from dali.dreams.along import Along
from dali.envs.spec import EnvSpec
from dali.envs.units import quantity
from dali.export.pictures import SIZE, draw_run, physics_text
from dali.video import caption, tile

SMALL = 160  # P of each multiple
STOPS = 6  # stretches of a turning film that are captioned with the physics read at their start


def turning_frames(along: Along, spec: EnvSpec, size: int = SIZE) -> np.ndarray:
    """The turned simulator beside the turning dream, captioned with the physics read off the code on the way."""
    panes = []
    for title, (run,) in (("Real, physics turned", along.real), ("Dream, code turned", along.dream)):
        frames = draw_run(run, spec, along.physics, size)
        cuts = np.unique(np.linspace(0, len(frames), STOPS + 1).round().astype(int))
        parts = [caption(frames[a:b], title, physics_text(spec, along.physics[a])) for a, b in pairwise(cuts.tolist())]
        panes.append(np.concatenate(parts))
    return tile(panes)


def strip_frames(along: Along, spec: EnvSpec, size: int = SMALL) -> np.ndarray:
    """Small multiples: a column a code, the simulator under the physics that is read off it above its dream."""
    rows = []
    for title, runs in (("real", along.real), ("dream", along.dream)):
        for i, run in enumerate(runs):
            frames = draw_run(run, spec, along.physics[i], size)
            if title == "real":
                read = ", ".join(
                    f"{f.name} {quantity(f, c)}" for f, c in zip(spec.features, along.physics[i], strict=True)
                )
                rows.append(caption(frames, f"real {i + 1}", read))
            else:
                root = float(np.sqrt((along.error[i, 1:] ** 2).mean()))  # the start is shared
                rows.append(caption(frames, f"dream {i + 1}", f"error {root:.2f} σ"))
    return tile(rows, columns=len(along.real), gap=6)
