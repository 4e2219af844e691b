"""Replay: what is drawn is what was written, in order, within one episode, and windows never overlap."""

import numpy as np
import pytest
import torch

from dali.config import make_config
from dali.envs import catalogue
from dali.train.replay import Replay

ENVS, WINDOW, LENGTH = 3, 8, 8


def filled(pairing="across", lengths=(40, 25, 60), episodes=4, capacity=100_000) -> Replay:
    """Each record's observation is (ring, episode, step); the action and reward repeat the step."""
    config = make_config(
        "pendulum", "dali_d", "tiny", 0, 2000, envs=ENVS, batch=16, length=LENGTH, stream=16, pairing=pairing,
        capacity=capacity, context_targets=16,
    )  # fmt: skip
    replay = Replay(catalogue.spec("pendulum"), config.model, config.train, np.random.default_rng(0))
    for ring in range(ENVS):
        for episode in range(episodes):
            for step in range(lengths[ring]):
                replay.add(
                    np.array([ring]),
                    np.array([[ring, episode, step]], np.float32),
                    np.array([[step]], np.float32),
                    np.array([step], np.float32),
                    np.array([step == lengths[ring] - 1]),
                    np.array([step == 0]),
                    np.array([[ring, episode]], np.float32),
                )
    return replay


@pytest.mark.parametrize("pairing", ["across", "same"])
def test_sequences_are_contiguous_in_one_episode(pairing):
    replay = filled(pairing)
    for _ in range(60):
        batch = replay.sample()
        assert (batch.obs[..., :2] == batch.obs[:, :1, :2]).all()
        steps = batch.obs[..., 2]
        for row in range(16):
            real = batch.mask[row]
            assert torch.equal(steps[row][real], steps[row, 0] + torch.arange(int(real.sum())))
            assert real.sum() >= 2
        assert torch.equal(batch.prev_action[..., 0], steps)
        assert torch.equal(batch.reward, steps)
        assert torch.equal(batch.first, steps == 0)
        assert torch.equal(batch.context, batch.obs[:, 0, :2])


def test_rows_go_on_where_they_were_unless_fresh():
    replay = filled()
    before = replay.sample()
    for _ in range(60):
        after = replay.sample()
        for row in range(16):
            if not after.fresh[row]:
                assert torch.equal(after.obs[row, 0, :2], before.obs[row, 0, :2])
                assert after.obs[row, 0, 2] == before.obs[row, 0, 2] + LENGTH
        before = after


def test_windows_share_no_record_with_the_sequence_and_targets_none_with_the_window():
    replay = filled()
    seen_before = seen_after = 0
    for _ in range(80):
        batch = replay.sample()
        for row in range(16):
            if batch.window_length[row] == 0:
                continue
            sequence = set(batch.obs[row, batch.mask[row], 2].tolist())
            window = batch.window_obs[row, : batch.window_length[row] + 1]
            assert torch.equal(window[:, :2], batch.obs[row, :1, :2].expand(len(window), 2))
            steps = window[:, 2].tolist()
            assert steps == list(range(int(steps[0]), int(steps[0]) + len(steps)))
            assert not sequence & set(steps)
            seen_before += steps[-1] < min(sequence)
            seen_after += steps[0] > max(sequence)
            if batch.target_mask[row]:
                start = batch.target_obs[row, :, 2]
                assert torch.equal(batch.target_next[row, :, 2], start + 1)
                assert torch.equal(batch.target_action[row, :, 0], start + 1)  # the action that led to the next record
                inside = (start >= steps[0]) & (start + 1 <= steps[-1])
                assert not inside.any()
    assert seen_before > 50
    assert seen_after > 50


def test_same_pairing_gives_the_records_before_the_sequence_and_the_sequence():
    replay = filled("same")
    for _ in range(30):
        batch = replay.sample()
        for row in range(16):
            offset, real = int(batch.window_offset[row]), int(batch.mask[row].sum())
            assert offset == min(WINDOW, int(batch.obs[row, 0, 2]))
            assert torch.equal(batch.window_obs[row, offset : offset + real], batch.obs[row, :real])


def test_an_episode_without_room_for_a_window_gives_none():
    replay = filled(lengths=(5, 5, 5))
    batch = replay.sample()
    assert (batch.window_length <= 3).all()
    assert not batch.target_mask[batch.window_length == 0].any()


def test_overwritten_episodes_are_never_drawn():
    replay = filled(episodes=12, capacity=ENVS * 200)
    for _ in range(40):
        batch = replay.sample()
        newest = torch.tensor([12 - 200 // n for n in (40, 25, 60)])[batch.obs[:, 0, 0].long()]
        assert (batch.obs[:, 0, 1] >= newest - 1).all()
        for row in range(16):  # a ring that has come round still gives whole episodes
            steps = batch.obs[row, batch.mask[row], 2]
            assert torch.equal(steps, steps[0] + torch.arange(len(steps)))


def test_every_record_is_about_equally_likely():
    replay = filled(lengths=(40, 20, 60))
    rings = torch.cat([replay.sample().obs[:, 0, 0] for _ in range(400)])
    share = torch.bincount(rings.long(), minlength=3) / len(rings)
    assert torch.allclose(share, torch.tensor([40.0, 20.0, 60.0]) / 120, atol=0.05)


def test_whole_windows_lie_in_the_middle_of_the_latest_episodes():
    replay = filled(lengths=(40, 8, 9))  # the second ring's episodes have no room for eight transitions
    before = replay.rng.bit_generator.state
    obs, action, first, context = replay.whole_windows(4)
    assert obs.shape == (4, WINDOW + 1, 3)
    assert torch.equal(obs[..., :2], context.unsqueeze(1).expand(-1, WINDOW + 1, -1))
    assert (obs[:, 1:, 2] - obs[:, :-1, 2] == 1).all()
    assert set(obs[:, 0, :2].unique(dim=0)[:, 0].tolist()) == {2.0}  # written last
    assert (first == (obs[..., 2] == 0)).all()
    assert torch.equal(action[..., 0], obs[..., 2])
    assert replay.rng.bit_generator.state == before
    both = replay.whole_windows(100)[0]
    assert sorted(set(both[:, 0, 2].tolist())) == [0.0, 15.0]


def test_state_round_trip_continues_the_same_stream():
    replay = filled()
    for _ in range(5):
        replay.sample()
    copy = filled(episodes=1)
    copy.load_state(replay.state())
    copy.rng.bit_generator.state = replay.rng.bit_generator.state
    for _ in range(5):
        a, b = replay.sample(), copy.sample()
        assert torch.equal(a.obs, b.obs)
        assert torch.equal(a.window_obs, b.window_obs)
        assert torch.equal(a.target_obs, b.target_obs)
        assert torch.equal(a.fresh, b.fresh)
