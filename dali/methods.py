"""The seven methods of the comparison, as data: who gives the context, and which module reads it.

A method never appears in an ``if`` on its name; modules ask the flags below.
"""

from dataclasses import dataclass
from typing import Literal

ContextSource = Literal["none", "given", "inferred"]


@dataclass(frozen=True)
class Method:
    """One row of the table of methods.

    Attributes:
        name: key used by the CLI and in config.json.
        title: how figures and pages name it.
        source: "none", "given" (the true context, scaled by its train range) or "inferred" (the code z).
        shallow: the context enters the posterior q(s | h, o, c).
        deep: the context enters the sequence model, reward, continue, decoder, actor and critic.
        cross_modal: the context encoder also learns from L_cross (methods named -chi).
    """

    name: str
    title: str
    source: ContextSource
    shallow: bool
    deep: bool
    cross_modal: bool

    @property
    def infers_context(self) -> bool:
        """True where a code z is inferred from transitions, so that there is something to steer."""
        return self.source == "inferred"


METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method("dreamer_dr", "Dreamer-DR", "none", shallow=False, deep=False, cross_modal=False),
        Method("crssm_s", "cRSSM-S", "given", shallow=True, deep=False, cross_modal=False),
        Method("crssm_d", "cRSSM-D", "given", shallow=False, deep=True, cross_modal=False),
        Method("dali_s", "DALI-S", "inferred", shallow=True, deep=False, cross_modal=False),
        Method("dali_s_chi", "DALI-S-χ", "inferred", shallow=True, deep=False, cross_modal=True),
        Method("dali_d", "DALI-D", "inferred", shallow=False, deep=True, cross_modal=False),
        Method("dali_d_chi", "DALI-D-χ", "inferred", shallow=False, deep=True, cross_modal=True),
    )
}
