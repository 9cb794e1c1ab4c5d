"""What can be said of a network before anything is deployed to it: for `mlops-chain doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from chain_client.config import Settings
from chain_client.deploying.examining import endpoint_urls, examine_endpoint
from chain_client.errors import ChainError
from chain_client.ledger import JsonRpcLedger, open_ledger
from chain_client.verify.report import Check

SECOND_LOOK = {
    "endpoint": "; what an endpoint shows, another one confirms",
    "proof": "; what the endpoint shows is confirmed by a proof (eth_getProof)",
    "none": "; warning: nothing confirms what the endpoint shows, so name a second one",
}


def examine_network(settings: Settings) -> Iterator[Check]:
    """The chain, and each endpoint of `ledger.url` alone; nothing is written or sent.

    Args:
        settings: that name a network, of a home in which nothing is deployed yet.
    """
    urls = endpoint_urls(settings)
    chain = _carry_out("chain", partial(_chain, settings))
    yield chain
    for number, url in enumerate(urls, 1):
        if chain.ok or len(urls) > 1:
            yield _carry_out(f"endpoint {number}", partial(_endpoint, settings, url))
    yield Check(
        "deployment",
        False,
        "nothing is deployed in this home yet: `mlops-chain deploy --dry-run` tells what it costs; "
        "`mlops-chain join` is for a deployment that stands",
        carried_out=False,
    )


def _carry_out(name: str, examination: Callable[[], tuple[bool, str]]) -> Check:
    try:
        problem, detail = examination()
    except ChainError as exc:
        problem, detail = True, str(exc)
    return Check(name, not problem, detail)


def _chain(settings: Settings) -> tuple[bool, str]:
    ledger = open_ledger(settings)
    try:
        block = ledger.block()
        text = f"chain {ledger.chain_id()} at block {block.number}"
        if isinstance(ledger, JsonRpcLedger):
            ledger.block("finalized")
            text += SECOND_LOOK[ledger.second_look.last_kind or "none"]
    finally:
        ledger.close()
    return False, text


def _endpoint(settings: Settings, url: str) -> tuple[bool, str]:
    report = examine_endpoint(settings, None, url)
    return report.is_slow, f"{report.url}: {report.describe()}"
