"""How much faster one source tree makes updates than another: two processes that take turns, in CPU time.

    python tools/update_ratio.py OTHER_TREE --preset small --set dream_steps=0 latents=draws \
        ensemble=0 expectation=false

A machine that does other things too gives wrong times but right ratios, as long as the two take short turns. Both trees
start from the same seed; the losses of the first updates are printed, so that one sees that they do the same thing.
Fields of ``--set`` that a tree does not know are left out for it.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
FIRST_LOSSES = 3


def work(options: dict) -> None:
    """One side: answers each line of its input with the CPU seconds of one turn."""
    import dataclasses

    import torch

    from dali.config import ModelConfig, TrainConfig, make_config
    from dali.train.trainer import Trainer

    torch.set_num_threads(options["threads"])
    known = {f.name for part in (ModelConfig, TrainConfig) for f in dataclasses.fields(part)}
    changes = {k: v for k, v in options["set"].items() if k in known}
    alone = {"context_warmup": 0, "autoencoder_updates": 0, "ensemble_updates": 0}
    changes |= {k: v for k, v in alone.items() if k in known and k != "autoencoder_updates"}
    config = make_config(options["env"], options["method"], options["preset"], 0, 100_000, **changes)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, Path(folder))
        for _ in range(options["records"] // config.train.envs):
            trainer.collector.step(True, trainer.noise)
        learner = trainer.learner
        cycle = math.lcm(config.train.behavior_every, config.train.context_every)

        def turn(kind: str) -> list[float]:
            """Total losses of one whole update, or of the updates after which all schedules begin anew."""
            losses = []
            learner.update_count = 0
            for _ in range(1 if kind == "whole" else cycle):
                losses.append(learner.update(trainer.replay.sample())["loss/total"].item())
            return losses

        losses = [loss for _ in range(FIRST_LOSSES) for loss in turn("whole")]
        print(json.dumps({"losses": losses, "cycle": cycle}), flush=True)
        for line in sys.stdin:
            began = time.process_time()
            turn(line.strip())
            print(json.dumps(time.process_time() - began), flush=True)


class Side:
    """A tree's process."""

    def __init__(self, tree: Path, options: dict):
        environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": str(options["threads"])}
        command = [sys.executable, str(Path(__file__).resolve()), "--work", json.dumps(options)]
        self.process = subprocess.Popen(
            command, cwd=tree, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.first = self._read()

    def turn(self, kind: str) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(kind + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self):
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("One side stopped; see above.")
        return json.loads(line)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, nargs="?", help="the tree to compare with")
    parser.add_argument("--here", type=Path, default=HERE, help="the tree whose speed is asked for")
    parser.add_argument("--env", default="pendulum")
    parser.add_argument("--method", default="dali_d_chi")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--records", type=int, default=4000, help="environment steps in the replay")
    parser.add_argument("--kinds", nargs="+", default=["whole", "scheduled"], choices=["whole", "scheduled"])
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(json.loads(given.work))
        return
    changes = {}
    for item in given.set:
        name, _, value = item.partition("=")
        try:
            changes[name] = json.loads(value)
        except json.JSONDecodeError:
            changes[name] = value
    options = {name: getattr(given, name) for name in ("env", "method", "preset", "threads", "records")}
    other, here = (Side(tree.resolve(), options | {"set": changes}) for tree in (given.other, given.here))
    print("first losses, other:", " ".join(f"{x:.5f}" for x in other.first["losses"]))
    print("first losses, here: ", " ".join(f"{x:.5f}" for x in here.first["losses"]))
    for kind in given.kinds:
        times = []
        for n in range(given.turns):
            sides = [other, here] if n % 2 else [here, other]
            spent = {side: side.turn(kind) for side in sides}
            times.append((spent[other], spent[here]))
        count = 1 if kind == "whole" else here.first["cycle"]
        ratios = sorted(a / b for a, b in times)
        quarter = len(ratios) // 4
        print(
            f"{kind}: other {statistics.median(a for a, _ in times) / count:.4f} s, "
            f"here {statistics.median(b for _, b in times) / count:.4f} s an update; "
            f"ratio {statistics.median(ratios):.3f} (middle half {ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f})",
            flush=True,
        )
    other.close()
    here.close()


if __name__ == "__main__":
    main()
