"""What the engine's parts cost on this machine: training, environments, dreams, drawing. Nothing here is a test."""

import math
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from dali.config import RunConfig
from dali.dreams.counterfactual import dream, held_context, infer_start
from dali.envs import catalogue
from dali.envs.base import Simulator
from dali.envs.contexts import sample_contexts
from dali.episodes import collect
from dali.model.agent import Agent
from dali.model.context_losses import context_loss
from dali.model.losses import world_model_loss
from dali.train.learner import autoencoder_updates
from dali.train.trainer import Trainer

_PRODUCTS = (
    "aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::_addmm_activation",
    "aten::mkldnn_convolution", "aten::convolution_backward", "aten::_scaled_dot_product_flash_attention_for_cpu",
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward",
)  # fmt: skip


def seconds_each(function: Callable[[], Any], repeats: int) -> float:
    """Median seconds of a call, until a GPU has done what it was asked as well, after one that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        _wait()
        began = time.perf_counter()
        function()
        _wait()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def bench_train(config: RunConfig, updates: int = 20) -> dict[str, Any]:
    """Cost of training: updates and environment steps a second, seconds by stage, memory, arithmetic.

    A whole update trains every part. As scheduled, most updates leave out the context encoder (``context_every``) or
    the behaviour (``behavior_every``): the speed of a run after its warm-up. Stages are timed one by one on the
    same batches; ``rest`` is what a whole update takes beyond them: losses of the behaviour, its backward pass and the
    optimizer.
    """
    cycle = math.lcm(config.train.behavior_every, config.train.context_every)
    train = replace(config.train, autoencoder_updates=cycle, context_warmup=0, ensemble_updates=0)
    config = replace(config, train=train)
    with tempfile.TemporaryDirectory() as folder:
        trainer, train = Trainer(config, Path(folder)), config.train
        random_steps = _prefill(trainer)
        policy_step = seconds_each(lambda: trainer.collector.step(False, trainer.noise), updates)

        def learn(count: int) -> None:
            trainer.learner.update_count = autoencoder_updates(config)  # in such an update every part learns
            for _ in range(count):
                trainer.learner.update(trainer.replay.sample())

        whole = seconds_each(lambda: learn(1), updates)
        scheduled = seconds_each(lambda: learn(cycle), max(3, updates // cycle)) / cycle
        stages, encoder = _stage_seconds(trainer, updates)
        stages["rest"] = max(0.0, whole - sum(stages.values()))
        with FlopCounterMode(display=False) as counter:
            learn(1)
        gpu = trainer.agent.device.type == "cuda"
        environment = policy_step / train.envs * (train.batch * train.length / train.replay_ratio)  # an update
        return {
            "env": config.env,
            "method": config.method_name,
            "preset": config.preset,
            "device": train.device,
            "threads": torch.get_num_threads(),
            "parameters": sum(p.numel() for p in trainer.agent.parameters() if p.requires_grad),
            "batch": [train.batch, train.length],
            "imagination_starts": train.starts,
            "horizon": train.horizon,
            "whole_updates_per_second": 1.0 / whole,
            "seconds_per_whole_update": whole,
            "stage_seconds": stages,
            "matrix_product_share": None if gpu else matrix_product_share(lambda: learn(1), min(updates, 5)),
            "context_encoder_share_of_whole": encoder / whole,
            "scheduled_updates_per_second": 1.0 / scheduled,
            "context_encoder_share_as_scheduled": encoder / train.context_every / scheduled,
            "collection_share_as_scheduled": environment / (environment + scheduled),
            "random_env_steps_per_second": random_steps,
            "policy_env_steps_per_second": train.envs / policy_step,
            "gflop_per_whole_update": counter.get_total_flops() / 1e9,
            "gflop_per_second": counter.get_total_flops() / 1e9 / whole,
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            **_medium_figures(trainer, learn, cycle, updates),
            **(_gpu_figures() if gpu else {}),
        }


def _prefill(trainer: Trainer) -> float:
    """Fills the replay as a run does; returns environment steps a second."""
    began = time.perf_counter()
    while trainer.env_steps < trainer.config.train.prefill:
        trainer.collector.step(True, trainer.noise)
        trainer.env_steps += trainer.config.train.envs
    return trainer.env_steps / (time.perf_counter() - began)


def _stage_seconds(trainer: Trainer, updates: int) -> tuple[dict[str, float], float]:
    """Seconds of the stages of a whole update, and of the context encoder's share of one of them."""
    learner, model, train = trainer.learner, trainer.agent.world_model, trainer.config.train
    batch = trainer.replay.sample().to(trainer.agent.device)

    def world_model() -> None:
        world_model_loss(model, batch, learner.carry.masked(~batch.fresh), train, trainer.noise).loss.backward()
        trainer.agent.zero_grad(set_to_none=True)

    def context_encoder() -> None:
        context_loss(model, batch, train, trainer.noise).backward()
        trainer.agent.zero_grad(set_to_none=True)

    with torch.no_grad():
        output = world_model_loss(model, batch, learner.carry.masked(~batch.fresh), train, trainer.noise)
    stages = {
        "replay": seconds_each(trainer.replay.sample, updates),
        "world_model": seconds_each(world_model, updates),
        "imagination": seconds_each(lambda: learner.imagine_starts(output.states, output.context, batch.mask), updates),
    }
    return stages, seconds_each(context_encoder, updates) if trainer.config.method.infers_context else 0.0


def _medium_figures(trainer: Trainer, learn: Callable[[int], None], cycle: int, updates: int) -> dict[str, float]:
    """Updates a second with ``matmul_precision=medium``: bfloat16 on a CPU, TensorFloat-32 on a GPU."""
    asked = trainer.learner.train
    trainer.learner.train = replace(asked, matmul_precision="medium")
    try:
        return {
            "medium_whole_updates_per_second": 1.0 / seconds_each(lambda: learn(1), updates),
            "medium_scheduled_updates_per_second": cycle / seconds_each(lambda: learn(cycle), max(3, updates // cycle)),
        }
    finally:
        trainer.learner.train = asked


def _gpu_figures() -> dict[str, Any]:
    """The GPU's name, and the most memory that was used on it."""
    return {"gpu": torch.cuda.get_device_name(), "peak_gpu_memory_mb": torch.cuda.max_memory_allocated() / 2**20}


def matrix_product_share(function: Callable[[], Any], repeats: int) -> float:
    """Share of the CPU's time in matrix products and convolutions; the profiler's own cost makes it too small."""
    function()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(repeats):
            function()
    operations = {event.key: event.self_cpu_time_total for event in profile.key_averages()}
    return sum(operations.get(name, 0.0) for name in _PRODUCTS) / sum(operations.values())


def bench_env(names: list[str], num: int = 8, steps: int = 200) -> dict[str, Any]:
    """Environment steps a second of N copies under random actions, by environment."""
    results = {}
    for name in names:
        spec, simulator = catalogue.spec(name), catalogue.make(name, num)
        rng = np.random.default_rng(0)
        simulator.reset(np.arange(num), sample_contexts(spec, num, 0))
        actions = rng.uniform(-1, 1, (steps, num, spec.action_dim))
        if spec.discrete:
            actions = np.eye(spec.action_dim)[rng.integers(0, spec.action_dim, (steps, num))]

        def step_all(sim: Simulator = simulator, acts: np.ndarray = actions) -> None:
            for action in acts:
                sim.step(action)

        each = seconds_each(step_all, 5)
        results[name] = {"copies": num, "env_steps_per_second": num * steps / each}
    return results


def bench_render(names: list[str], size: int = 256, frames: int = 50) -> dict[str, Any]:
    """Frames a second drawn by the simulators, by environment."""
    results = {}
    for name in names:
        spec, simulator = catalogue.spec(name), catalogue.make(name, 1)
        simulator.reset(np.zeros(1, int), spec.default_context[None])
        state = simulator.get_state()[0]

        def draw_all(
            sim: Simulator = simulator, s: np.ndarray = state, context: np.ndarray = spec.default_context
        ) -> None:
            for _ in range(frames):
                sim.draw(s, context, size)

        each = seconds_each(draw_all, 5)
        results[name] = {"size": size, "frames_per_second": frames / each}
    return results


def bench_imagine(agent: Agent, horizon: int = 50) -> dict[str, Any]:
    """Milliseconds of one dream of ``horizon`` steps, and of inferring its start from 100 recorded steps."""
    spec = agent.spec
    episodes = collect(agent, spec.default_context[None], np.array(["interpolation"]), 0, np.array([True]), 100)
    length = int(episodes.length[0])
    context = held_context(agent, episodes, episodes.code[:, length] if agent.method.infers_context else None,
                           episodes.context)  # fmt: skip
    start = infer_start(agent, episodes, length, context)
    actions = np.zeros((1, horizon, spec.action_dim), np.float32)
    return {
        "horizon": horizon,
        "dream_ms": 1e3 * seconds_each(lambda: dream(agent, start, context, horizon, actions, "mean"), 20),
        "infer_start_ms": 1e3 * seconds_each(lambda: infer_start(agent, episodes, length, context), 20),
        "recorded_steps": length,
        "threads": torch.get_num_threads(),
    }
