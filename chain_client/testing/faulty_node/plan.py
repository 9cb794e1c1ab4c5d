"""Which faults happen to which requests: scripts, and plans made from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from chain_client.testing.faulty_node.catalogue import RECOVERABLE, Kind
from chain_client.testing.faulty_node.fault import Fault


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault, and the requests it happens to.

    Args:
        fault: what happens.
        methods: requests that hold a call of one of these are hit; empty for all.
        skip: so many of them pass first.
        times: so many are hit then; None for all that come.
    """

    fault: Fault
    methods: frozenset[str] = frozenset()
    skip: int = 0
    times: int | None = 1


def on(*methods: str, fault: Fault, skip: int = 0, times: int | None = 1) -> Rule:
    """A rule for requests of some methods: ``on("eth_sendRawTransaction", fault=HtmlPage(502))``.

    Args:
        methods: none for every request.
        fault: what happens.
        skip: so many of these requests pass first.
        times: so many are hit then; None for all that come.
    """
    return Rule(fault, frozenset(methods), skip, times)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Rules, all of which look at every request; the first is the outermost.

    Where several hit one request, each gets it from the one before and hands it to the one
    after: a `Lagging` before a `TruncatedJson` sees what is left of the reply.

    Args:
        rules: in this order.
        seed: from which choices of faults come; part of every text about the plan.
    """

    rules: tuple[Rule, ...] = ()
    seed: int | None = None

    @classmethod
    def of(cls, *rules: Rule | Fault, seed: int | None = None) -> FaultPlan:
        """A script: rules as they are; a fault alone happens to every request."""
        made = (one if isinstance(one, Rule) else Rule(one, times=None) for one in rules)
        return cls(tuple(made), seed)

    @classmethod
    def from_seed(
        cls,
        seed: int,
        *,
        count: int = 2,
        within: int = 30,
        kinds: Sequence[Kind] = RECOVERABLE,
    ) -> FaultPlan:
        """Faults chosen by a seed: the same in every run.

        Args:
            seed: any number.
            count: how many faults; a pair by default.
            within: each happens for the first time among so many requests of its methods.
            kinds: what there is to choose from; by default what a client has to survive.
        """
        choices = random.Random(seed)  # noqa: S311 - a test's choices, no secret
        rules = []
        for kind in choices.sample(list(kinds), min(count, len(kinds))):
            fault = kind.make(choices)
            skip = choices.randrange(within if not kind.methods else max(within // 10, 1))
            rules.append(Rule(fault, kind.methods, skip, choices.randint(1, kind.most)))
        return cls(tuple(rules), seed)

    def __str__(self) -> str:
        seed = "no seed" if self.seed is None else f"seed {self.seed}"
        return "; ".join([seed, *(str(rule) for rule in self.rules)])
