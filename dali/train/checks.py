"""What a training needs of the machine and the folder, checked before torch is imported or anything is written."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dali.config import RunConfig
from dali.envs import catalogue
from dali.errors import DaliError
from dali.files import lock
from dali.files.writing import remove_temporaries
from dali.runs.folder import FILMS, TRAINER_STATE, TRAINING_LOCK

DEVICE = re.compile(r"cpu|mps|cuda(:\d{1,3})?")


def check_training(config: RunConfig) -> None:
    """Raises DaliError where the device has a name that torch does not know, or the replay cannot hold an episode."""
    if not DEVICE.fullmatch(config.train.device):
        raise DaliError(f"Unknown device {config.train.device!r}; expected cpu, cuda, cuda:N or mps.")
    train = config.train
    episode = catalogue.spec(config.env).episode_steps + 1
    needed = min(train.steps, train.envs * episode)
    if train.capacity < needed:
        raise DaliError(
            f"Config field 'capacity' is {train.capacity}; expected at least {needed}, so that the replay holds an "
            f"episode of {episode} records of each of {train.envs} environments."
        )


def check_device(device: str) -> None:
    """Raises DaliError where this machine lacks the device."""
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device.startswith("cuda"):
        number = int(device.partition(":")[2] or 0)
        if not cuda or number >= torch.cuda.device_count():
            raise DaliError(f"There is no device {device!r} on this machine; use cpu.")
    if device == "mps" and not mps:
        raise DaliError("There is no device 'mps' on this machine; use cpu.")


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Holds a run's folder while it is trained, so that no other process trains in it.

    What a process that was killed there left half written is removed.

    Raises:
        DaliError: another process trains in it, or it cannot be made or written.
    """
    last = lock.holder(folder / TRAINING_LOCK)
    try:
        with lock.hold(folder / TRAINING_LOCK):
            if last is not None:
                for part in (folder, (folder / TRAINER_STATE).parent, folder / FILMS):
                    remove_temporaries(part, last)
            yield
    except lock.Busy as error:
        raise DaliError(f"{folder} is being trained in. {error} Wait for it, or choose another --output.") from error
