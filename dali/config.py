"""Configuration of a run: frozen dataclasses, presets, validation. ``dali.runs.schema`` reads those of older runs.

Sources of the defaults: [V3] Hafner et al., "Mastering diverse domains through world models" (DreamerV3);
[DALI] arXiv 2508.20294; [ours] chosen here, measured in docs/experiments.md or stated as untested.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from dali.errors import DaliError, unknown_name
from dali.files.text import quote
from dali.methods import METHODS, Method

Observation = Literal["vector", "pixels"]
OBSERVATIONS: tuple[Observation, ...] = ("vector", "pixels")
# "innovations": besides, what the forward dynamics had not expected of it (dali.model.context).
ContextTokens = Literal["changes", "innovations"]
CONTEXT_TOKENS: tuple[ContextTokens, ...] = ("changes", "innovations")
# How categorical latents are handed on, in training, acting and the imagination that the policy learns in: drawn, or
# as the means of the draws. Dreams that are shown hand on means in any case.
Latents = Literal["draws", "means"]
LATENTS: tuple[Latents, ...] = ("draws", "means")

SCHEMA = 7
METHOD, PRESET = "dali_d_chi", "small"  # of a training for which none is named
MAX_SEED = 2**32 - 1  # what all random generators in use take

# Fields that decide when things are written and how fast, not what is learnt; a resumed run may change them. With
# another number of threads sums are rounded otherwise, so that the run goes on as well, but not bit for bit the same.
FREE_TO_CHANGE = ("checkpoint_every", "log_every", "threads")
IMMATERIAL = (*FREE_TO_CHANGE, "device")  # fields that decide nothing about what is learnt


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the networks."""

    observation: Observation = "vector"  # what is read of the environment: its numbers, or 64 x 64 pictures
    embedding: int = 32  # E, numbers that a picture is turned into [ours]
    conv_depth: int = 8  # channels of the first of four convolutions, doubled from each to the next [ours; V3: 32]
    deter: int = 256  # D, width of the recurrent state
    stoch: int = 16  # S, groups of categorical latents
    classes: int = 16  # C, classes a group
    hidden: int = 192  # width inside the sequence model, the prior and the posterior
    units: int = 192  # width of encoder, decoder, heads, actor and critic
    layers: int = 2  # hidden layers of encoder, decoder, actor and critic [V3 small: 2]
    head_layers: int = 1  # hidden layers of the reward and continue heads
    bins: int = 255  # two-hot bins of reward and value heads [V3]
    latents: Latents = "means"  # how they are handed on [ours, measured; V3: draws]
    expectation: bool = True  # deep methods: h carries what the dynamics ensemble expects of the last decoded o [ours]
    unimix: float = 0.01  # uniform share of latent and discrete policy distributions [V3]
    code: int = 8  # Z, size of the context code [DALI]
    context_tokens: ContextTokens = "changes"  # what the context encoder reads of a transition [ours, measured]
    context_window: int = 64  # K, transitions the context encoder looks back on [DALI]
    context_width: int = 128  # width of the context encoder's transformer block [ours, measured]
    context_heads: int = 4  # of its single self-attention [ours, measured]
    dynamics_units: int = 256  # width of the forward dynamics f_w that trains the code [ours, measured]
    dynamics_norm: bool = True  # layer norms in f_w [ours]
    ensemble: int = 3  # members of the dynamics ensemble, the second dream engine; 0: none [ours]
    ensemble_units: int = 384  # their width [ours, measured]
    ensemble_layers: int = 3  # their hidden layers [ours, measured]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides how a run learns."""

    steps: int = 80_000  # environment steps in all
    envs: int = 8  # N, copies stepped together
    contexts: int = 100  # training contexts, drawn uniformly from the box of train ranges [DALI]
    prefill: int = 40_000  # environment steps of smooth noise before the first update; they set all scales [ours]
    explore: float = 0.5  # share of episodes acted by smooth noise, so that the model sees off-policy physics [ours]
    explore_steps: int = 0  # most steps of such an episode; 0: the environment's own [ours]
    restart: float = 0.5  # share of them that start where an episode under other physics stood [ours, measured]
    batch: int = 64  # B, sequences an update
    length: int = 16  # T, steps a sequence; B x T = 1,024 as in [V3] (16 x 64)
    stream: int = 64  # most steps a row is followed with its latent state carried from update to update [ours]
    replay_ratio: float = 300.0  # replayed steps per environment step [ours; V3: 512]
    starts: int = 256  # imagination starts an update, subsampled from the B x T posterior states
    behavior_every: int = 3  # updates of the world model for one of actor and critic [ours; V3: 1]
    horizon: int = 15  # H, imagined steps [V3]
    model_lr: float = 1e-3  # world model [ours; V3: 1e-4]
    actor_lr: float = 3e-4  # [ours; V3: 3e-5]
    critic_lr: float = 3e-4  # [ours; V3: 3e-5]
    anneal: float = 0.3  # share of the updates after which all rates fall by a cosine [ours; V3: never]
    anneal_to: float = 0.05  # share of them that is left at the end
    clip: float = 100.0  # gradient norm; actor and critic: 100 [V3 base code: 1000 model, 100 actor and critic]
    reconstruction: float = 100.0  # weight of the errors of observations: the decoder's and L_FD [ours; V3: 1]
    dyn: float = 1.0  # KL balance: prior towards posterior [ours; V3 base code: 0.5]
    rep: float = 0.1  # KL balance: posterior towards prior [V3 base code]
    free_nats: float = 0.0  # per step; a whole nat leaves dreams of a small world imprecise [ours, measured; V3: 1]
    discount: float = 0.997  # 1 - 1/333 [V3]
    lambda_: float = 0.95  # [V3]
    entropy: float = 3e-4  # [V3]
    critic_decay: float = 0.98  # slow critic's moving average [V3]
    return_decay: float = 0.99  # percentile return normalisation [V3]
    context_warmup: int = 8_000  # updates of the code alone, on the prefill, before the world model's first [ours]
    context_every: int = 4  # updates of the world model for one of the context encoder after that [ours]
    context_lr: float = 3e-3  # context encoder; falls by a cosine over the warm-up [ours, measured]
    context_lr_final: float = 2e-4  # its rate from then on
    context_lengths: int = 2  # window lengths, drawn from 4..K, whose codes are trained per sequence and update [ours]
    context_whole: float = 0.75  # share of sequences given the code of a whole window; else it is cut as above [ours]
    context_swap: float = 0.5  # share of sequences whose first records get another row's context [ours]
    context_targets: int = 32  # transitions outside the window that each code must predict [ours, measured]
    cross_modal: float = 1.0  # weight of L_cross [DALI]
    ensemble_updates: int = 12_000  # updates of the dynamics ensemble alone, on the prefill, after the code's [ours]
    ensemble_lr: float = 1e-3  # of the ensemble; falls by a cosine over those updates to a tenth [ours, measured]
    dream_steps: int = 8  # imagined steps whose decoded observations are paid for; 0: none [ours, measured]
    dream: float = 1.0  # weight of their errors beside the reconstruction's [ours]
    autoencoder_updates: int = 3_000  # pixels: updates of it alone, before all others; then it is fixed [ours]
    autoencoder_lr: float = 1e-3  # of the autoencoder; falls by a cosine [ours]
    curvature: float = 1000.0  # weight of the bend of an embedding's path (dali.model.conv) [ours, measured]
    frames: int = 60  # pixels: pictures an update that the decoder is judged by, in threes of its B x T [ours]
    pixels: float = 1.0  # weight of the squared error of pixels in [0, 1], summed over a picture [V3]
    pairing: Literal["across", "same"] = "across"  # which window's transitions a code must predict
    capacity: int = 1_000_000  # environment steps the replay holds
    checkpoint_every: float = 300.0  # seconds between checkpoints
    log_every: float = 10.0  # seconds between lines of metrics.jsonl
    threads: int = 0  # torch threads; 0 leaves torch's choice
    # What the world model, actor and critic multiply by while they learn, in torch's words: float32, or with "medium"
    # bfloat16 (on a GPU TensorFloat32), summed in float32. Faster only where the processor has AMX [ours, measured].
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    device: str = "cpu"


PRESETS: dict[str, tuple[ModelConfig, TrainConfig]] = {
    # Seconds; for tests only.
    "tiny": (
        ModelConfig(deter=32, stoch=4, classes=4, hidden=32, units=32, layers=1, bins=41, context_width=16,
                    context_heads=1, context_window=8, dynamics_units=16, ensemble=2, ensemble_units=16,
                    ensemble_layers=2),
        TrainConfig(steps=600, envs=4, contexts=8, prefill=200, batch=8, length=8, stream=32, replay_ratio=32.0,
                    behavior_every=1, starts=16, horizon=5, context_warmup=20, autoencoder_updates=10, frames=9,
                    ensemble_updates=20, dream_steps=3),
    ),
    # A laptop's CPU, well under an hour for the pendulum.
    "small": (ModelConfig(), TrainConfig()),
    # The same from pictures, on one core of a laptop.
    "pixels": (
        ModelConfig(observation="pixels", ensemble=0, expectation=False, latents="draws"),
        TrainConfig(autoencoder_updates=4_000, replay_ratio=150.0, reconstruction=10.0, dream_steps=0),
    ),
    # Small at the sizes of DreamerV3-small; for a GPU.
    "large": (
        ModelConfig(deter=512, stoch=32, classes=32, hidden=512, units=512, head_layers=2),
        TrainConfig(steps=200_000, batch=16, length=64, starts=1024, behavior_every=1, replay_ratio=512.0,
                    model_lr=1e-4, actor_lr=3e-5, critic_lr=3e-5),
    ),
    # The paper's: DreamerV3-small, and a context encoder that learns beside it, from the windows whose next step its
    # codes must predict. Not stated there, so ours: the prefill, whitened codes, widths of encoder and f_w, its rate.
    "paper": (
        ModelConfig(deter=512, stoch=32, classes=32, hidden=512, units=512, head_layers=2, ensemble=0,
                    expectation=False, latents="draws"),
        TrainConfig(steps=200_000, prefill=10_000, explore=0.0, restart=0.0, batch=16, length=64, starts=1024,
                    behavior_every=1, replay_ratio=512.0, model_lr=1e-4, actor_lr=3e-5, critic_lr=3e-5, anneal=1.0,
                    context_warmup=0, context_every=1, context_lr=1e-4, context_lr_final=1e-4, context_swap=0.0,
                    pairing="same", reconstruction=1.0, dyn=0.5, free_nats=1.0, dream_steps=0),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class RunConfig:
    """One training run: what is trained on what, and how. Written to config.json."""

    env: str
    method_name: str
    preset: str = "small"
    seed: int = 0
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    @property
    def method(self) -> Method:
        return METHODS[self.method_name]

    def to_dict(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    def __post_init__(self) -> None:
        for name in ("env", "method_name", "preset"):  # checked before any of them is looked up
            if not isinstance(getattr(self, name), str):
                raise DaliError(f"Config field {name!r} is {quote(getattr(self, name))}; expected a name.")
        if self.method_name not in METHODS:
            raise unknown_name("method", self.method_name, METHODS)
        if self.preset not in PRESETS:
            raise unknown_name("preset", self.preset, PRESETS)
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or not 0 <= self.seed <= MAX_SEED:
            raise DaliError(f"Config field 'seed' is {quote(self.seed)}; expected a whole number from 0 to {MAX_SEED}.")
        validate(self.model, self.train)


_POSITIVE = (
    "envs", "contexts", "batch", "starts", "behavior_every", "horizon", "replay_ratio", "context_lengths",
    "context_every", "context_targets", "capacity", "autoencoder_updates", "frames",
)  # fmt: skip


MOST = 10**9  # of any whole number; what lies above these would be built or allocated before it failed
_MOST = {name: most for most, names in (
    (64, ("layers", "head_layers", "ensemble_layers", "ensemble", "context_heads")),
    (256, ("threads",)),
    (2**10, ("stoch", "classes", "code", "conv_depth")),
    (2**12, ("envs", "context_lengths", "context_targets", "dream_steps")),
    (2**14, ("deter", "hidden", "units", "context_width", "dynamics_units", "ensemble_units", "embedding")),
    (2**16, ("bins", "context_window", "batch", "length", "stream", "horizon", "starts", "frames")),
) for name in names}  # fmt: skip


def validate(model: ModelConfig, train: TrainConfig) -> None:
    """Raises DaliError for the first value that cannot work, quoting it."""
    for part in (model, train):
        for item in dataclasses.fields(part):
            value = getattr(part, item.name)
            if expected := _misfit(item.name, item.type, value):
                raise DaliError(f"Config field {item.name!r} is {quote(value)}; expected {expected}.")
    positive = (
        "deter", "stoch", "classes", "hidden", "units", "layers", "code", "context_window", "context_width",
        "embedding", "conv_depth", "dynamics_units", "ensemble_units", "ensemble_layers",
    )  # fmt: skip
    shortest = 3 if model.observation == "pixels" else 2  # records; the bend of a path takes three
    checks = [(name, getattr(model, name), getattr(model, name) > 0, "at least 1") for name in positive]
    checks += [
        ("observation", model.observation, model.observation in OBSERVATIONS, "'vector' or 'pixels'"),
        ("context_tokens", model.context_tokens, model.context_tokens in CONTEXT_TOKENS, "'changes' or 'innovations'"),
        ("latents", model.latents, model.latents in LATENTS, "'draws' or 'means'"),
        ("expectation", model.expectation, not model.expectation or model.ensemble > 0,
         "false where there is no ensemble"),
        ("dream_steps", train.dream_steps, train.dream_steps < train.length, f"below length = {train.length}"),
        ("bins", model.bins, model.bins % 2 == 1 and model.bins >= 3, "an odd number of at least 3"),
        ("context_heads", model.context_heads,
         model.context_heads > 0 and model.context_width % model.context_heads == 0,
         f"a divisor of context_width = {model.context_width}"),
        ("unimix", model.unimix, 0 < model.unimix < 1, "between 0 and 1"),
        ("length", train.length, train.length >= shortest, f"at least {shortest}"),
        ("frames", train.frames, train.frames % 3 == 0, "a multiple of 3"),
        ("stream", train.stream, train.stream >= train.length, f"at least length = {train.length}"),
        ("prefill", train.prefill, 0 < train.prefill < train.steps, f"between 1 and steps = {train.steps}"),
        *((name, getattr(train, name), getattr(train, name) <= 1, "a share between 0 and 1")
          for name in ("explore", "restart", "context_whole", "context_swap")),
        ("anneal", train.anneal, 0 < train.anneal <= 1, "a share above 0, at most 1"),
        ("anneal_to", train.anneal_to, train.anneal_to <= 1, "a share between 0 and 1"),
        ("discount", train.discount, train.discount <= 1, "at most 1"),
        ("pairing", train.pairing, train.pairing in ("across", "same"), "'across' or 'same'"),
        ("matmul_precision", train.matmul_precision, train.matmul_precision in ("highest", "high", "medium"),
         "'highest', 'high' or 'medium'"),
        *((name, getattr(train, name), getattr(train, name) > 0, "above 0") for name in _POSITIVE),
    ]  # fmt: skip
    for name, value, good, expected in checks:
        if not good:
            raise DaliError(f"Config field {name!r} is {quote(value)}; expected {expected}.")


def _misfit(name: str, kind: Any, value: Any) -> str | None:
    """What a field expects, where a value is of another kind or size."""
    if kind is bool:
        return None if isinstance(value, bool) else "true or false"
    if kind is int:
        most = _MOST.get(name, MOST)
        fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
        return None if fits else f"a whole number from 0 to {most}"
    if kind is float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")
        return None if fits else "a finite number of at least 0"
    return None if isinstance(value, str) else "a name"


def make_config(env: str, method: str, preset: str, seed: int, steps: int, **changes: Any) -> RunConfig:
    """A preset with some training fields changed.

    Args:
        steps: environment steps of the run.
        changes: fields of TrainConfig or ModelConfig by name; an unknown one raises DaliError.
    """
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    return change_config(RunConfig(env, method, preset, seed, *PRESETS[preset]), steps, **changes)


def change_config(config: RunConfig, steps: int, **changes: Any) -> RunConfig:
    """A configuration with another number of steps and some fields changed, as ``make_config`` takes them."""
    # 1e3 stands for 1000.
    changes = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in changes.items()}
    model_names = {f.name for f in dataclasses.fields(ModelConfig)}
    train_names = {f.name for f in dataclasses.fields(TrainConfig)}
    for name in changes:
        if name not in model_names | train_names:
            raise unknown_name("config field", name, model_names | train_names)
    model = dataclasses.replace(config.model, **{k: v for k, v in changes.items() if k in model_names})
    train = dataclasses.replace(config.train, steps=steps, **{k: v for k, v in changes.items() if k in train_names})
    return dataclasses.replace(config, model=model, train=train)
