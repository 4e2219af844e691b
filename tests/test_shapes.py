"""Shapes that signatures of dali.model state: checked in tests, explained in one table, and no need of the server's."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import beartype
import pytest
import torch
from jaxtyping import TypeCheckError, jaxtyped

from dali.config import make_config
from dali.envs import catalogue
from dali.model import nets, recurrence
from dali.model.agent import Agent
from dali.model.behavior import lambda_return
from dali.model.context_losses import masked_mean
from dali.model.rssm import LatentState

REPO = Path(__file__).resolve().parent.parent
FILES = sorted((REPO / "dali" / "model").glob("*.py"))
KINDS = {"Bool", "Float", "Int", "Shaped", "UInt8"}


def forward() -> str:
    """One step of an untrained agent, told in full."""
    import torch

    from dali.config import make_config
    from dali.envs import catalogue
    from dali.model.agent import Agent

    torch.manual_seed(0)
    agent = Agent(make_config("pendulum", "dali_d_chi", "tiny", seed=0, steps=600), catalogue.spec("pendulum"))
    obs, first, context = torch.ones(3, agent.obs_dim), torch.ones(3, dtype=torch.bool), torch.zeros(3, 2)
    noise = torch.Generator().manual_seed(0)
    action, state, code = agent.act(obs, first, agent.initial(3), context, noise)
    return f"{action.tolist()} {state.latent.deter.tolist()} {code.tolist()}"


@pytest.fixture(scope="module")
def agent() -> Agent:
    torch.manual_seed(0)
    return Agent(make_config("pendulum", "dali_d_chi", "tiny", seed=0, steps=600), catalogue.spec("pendulum"))


def observe(agent: Agent, actions: int = 5) -> LatentState:
    """Filters two sequences of five observations under so many actions each."""
    model = agent.world_model
    embed = torch.randn(2, 5, agent.config.model.units)
    action, deep = torch.randn(2, actions, agent.spec.action_dim), torch.randn(2, 5, model.deep)
    expected = torch.randn(2, 5, model.rssm.expected)
    start, shallow = model.rssm.initial(2, "cpu"), torch.zeros(2, 5, 0)
    return model.rssm.observe(embed, action, deep, shallow, start, None, expected, expected)[0]


def test_a_sequence_of_actions_of_another_length_is_refused(agent):
    assert observe(agent).deter.shape[:2] == (2, 5)
    with pytest.raises(TypeCheckError, match="prev_action"):
        observe(agent, actions=4)


def test_what_torch_would_broadcast_is_refused():
    reward, value = torch.ones(4, 6), torch.ones(4, 6)
    lambda_return(reward, value, torch.ones(4, 6), 0.95)
    with pytest.raises(TypeCheckError, match="discount"):
        lambda_return(reward, value, torch.ones(1, 6), 0.95)


def test_a_mask_of_numbers_is_refused():
    masked_mean(torch.ones(4), torch.ones(4, dtype=torch.bool))
    with pytest.raises(TypeCheckError, match="mask"):
        masked_mean(torch.ones(4), torch.ones(4))


def test_fields_of_a_dataclass_are_held_against_each_other():
    LatentState(torch.zeros(2, 3, 8), torch.zeros(2, 3, 16))
    with pytest.raises(TypeCheckError, match="stoch"):
        LatentState(torch.zeros(2, 3, 8), torch.zeros(2, 16))


def test_named_tuples_hold_what_they_state(agent, monkeypatch):
    """Tuples are checked here alone: the import hook checks calls and dataclasses."""
    for kind in (recurrence.Weights, recurrence.Step, nets.Normed, nets.SplitWeight):
        checked = jaxtyped(kind.__new__, typechecker=beartype.beartype)
        monkeypatch.setattr(kind, "__new__", staticmethod(checked))
    with pytest.raises(TypeCheckError, match="rstd"):
        nets.Normed(*(torch.zeros(2, size) for size in (8, 1, 8, 8, 8)))
    state = observe(agent)
    (state.deter.sum() + (state.stoch**2).sum()).backward()
    model = agent.world_model
    context = torch.zeros(2, model.deep)
    picked = model.rssm.picked(state.index(slice(None), -1))
    dreamed = model.imagine_step(picked, torch.zeros(2, agent.spec.action_dim), context, None)
    actor = nets.Evaluation(agent.behavior.actor, 1, 2)
    actor.step(0, model.features(dreamed, context))
    actor.with_gradient(model.features(dreamed, context)).sum().backward()


def stated(path: Path) -> Iterator[ast.expr]:
    """The annotations of a module's signatures and of its classes' fields."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            taken = node.args
            every = (*taken.posonlyargs, *taken.args, taken.vararg, *taken.kwonlyargs, taken.kwarg)
            yield from (argument.annotation for argument in every if argument and argument.annotation)
            if node.returns:
                yield node.returns
        elif isinstance(node, ast.ClassDef):
            yield from (field.annotation for field in node.body if isinstance(field, ast.AnnAssign))


def described(annotation: ast.expr) -> list[tuple[ast.expr, str]]:
    """The type and the shape of each Float[type, "shape"] in an annotation."""
    return [
        (node.slice.elts[0], node.slice.elts[1].value)
        for node in ast.walk(annotation)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in KINDS
    ]


def tensors(annotation: ast.expr) -> list[ast.expr]:
    return [node for node in ast.walk(annotation) if isinstance(node, ast.Name) and node.id == "Tensor"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_tensor_in_a_signature_has_a_shape(path):
    for annotation in stated(path):
        with_shape = [tensor for kind, _ in described(annotation) for tensor in tensors(kind)]
        assert tensors(annotation) == with_shape, f"{path.name}:{annotation.lineno}: {ast.unparse(annotation)}"


def test_every_letter_is_in_the_table():
    text = (REPO / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.split("\n## Shapes\n")[1].split("\n## ")[0]
    explained = set(re.findall(r"\b[A-Z]+\b", section))
    letters = {
        letter
        for path in FILES
        for annotation in stated(path)
        for _, shape in described(annotation)
        for letter in re.findall(r"\b[A-Z]+\b", shape)
    }
    assert {"B", "T", "SC"} < letters
    assert letters <= explained, letters - explained


ABSENT = """
import sys
sys.modules["jaxtyping"] = sys.modules["beartype"] = None  # importing one now fails, as where it is not installed
"""


@pytest.mark.parametrize("installed", [False, True])
def test_the_model_runs_without_what_checks_it(installed):
    """As on a server that only trains; what it computes is what it computes under the checks."""
    code = f"""
{"" if installed else ABSENT}
{inspect.getsource(forward)}
print(forward())
from dali.model.rssm import RSSM
print(RSSM.observe.__annotations__["embed"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    told, annotation = done.stdout.splitlines()
    assert told == forward()
    assert annotation == "<class 'torch.Tensor'>"
