"""Which checks counted when: for who proposes, for what was proposed before, and for verify."""

from __future__ import annotations

from typing import Any

from chain_client.ledger.model_registry_values import ANY_MODEL
from chain_client.registry.check_configuration import (
    AppliedChecks,
    AppliedLog,
    ConfiguredCheck,
    hash_checks,
)
from chain_client.registry.check_history import SLACK_S, CheckHistory, Tenures
from chain_client.registry.check_reports import CheckReport, CheckResult
from chain_client.types import Address, Digest

PLACE = (ANY_MODEL, Digest(b"\x07" * 32))
OWNER, DORA, EVE = (Address(bytes([n] * 20)) for n in (1, 2, 3))
WEAK = ConfiguredCheck("better", "promotion-checks", {"at_least": 0.1})
STRICT = ConfiguredCheck("better", "promotion-checks", {"at_least": 0.8})
NOW_S = 100_000.0
LEFT_S = 50_000.0
"""When Dora lost the role that she had had since 10 000."""


def applied(
    check: ConfiguredCheck, at_s: float, index: int, signer: Address = OWNER, **changed: Any
) -> AppliedChecks:
    size = changed.get("log_size", index)
    return AppliedChecks(PLACE, (check,), int(at_s * 1e6), signer, size, index)


def history(*entries: AppliedChecks, unreadable: tuple[int, ...] = ()) -> CheckHistory:
    tenures = Tenures()
    tenures.add([(0, OWNER, True), (10_000, DORA, True), (LEFT_S, DORA, False)])
    found = sorted(entries, key=lambda one: (one.log_size, one.time_us))
    return CheckHistory(AppliedLog(tuple(found), {PLACE: unreadable}), tenures, NOW_S)


def report_of(check: ConfiguredCheck) -> CheckReport:
    word = Digest(bytes(32))
    result = CheckResult("better", "promotion-checks", "example", "1", check.hash)
    return CheckReport(
        *("d", word, PLACE[1], 1, word, EVE, word, word, hash_checks((check,)), 1, (result,))
    )


def counted(found: CheckHistory, check: ConfiguredCheck, made_at_s: float) -> bool:
    return found.counted(PLACE, report_of(check), made_at_s, "d")


def test_what_was_replaced_before_a_proposal_was_made_counts_for_it_no_more() -> None:
    found = history(applied(WEAK, 20_000, 1), applied(STRICT, 30_000, 5))
    assert counted(found, WEAK, 29_000)
    assert counted(found, WEAK, 30_000 + SLACK_S)
    assert not counted(found, WEAK, 30_001 + SLACK_S)
    assert counted(found, STRICT, 40_000)
    # Of what is applied after it was made, too: an admin wants no more of anybody now.
    assert counted(found, STRICT, 29_000)
    again = history(applied(WEAK, 20_000, 1), applied(STRICT, 30_000, 5), applied(WEAK, 60_000, 9))
    assert counted(again, WEAK, 40_000)
    assert not found.counted(PLACE, report_of(WEAK), 29_000, "another deployment")
    assert not found.counted((PLACE[1], PLACE[1]), report_of(STRICT), 40_000, "d")


def test_what_somebody_applied_who_may_not_never_counted() -> None:
    found = history(
        applied(STRICT, 20_000, 1),
        applied(WEAK, 30_000, 5, EVE),
        applied(WEAK, 9_000, 0, DORA),
        applied(WEAK, LEFT_S + SLACK_S + 1, 7, DORA),
        applied(WEAK, NOW_S + SLACK_S + 1, 8),
    )
    assert [one.checks for one in found.of(PLACE)] == [(STRICT,)]
    assert not counted(found, WEAK, 40_000)


def test_who_lost_the_right_goes_back_to_no_time_at_which_it_was_there() -> None:
    after = history(applied(STRICT, LEFT_S + SLACK_S + 1, 1), applied(WEAK, 40_000, 5, DORA))
    assert [one.checks for one in after.of(PLACE)] == [(STRICT,)]
    # Where nobody applied anything since, it lets nothing be proposed, and nothing be promoted
    # that was proposed since; what she had applied when she could lets older proposals pass.
    before = history(applied(STRICT, 30_000, 1), applied(WEAK, 40_000, 5, DORA))
    last = before.last(PLACE)
    assert last is not None
    assert (last.applied.signer, last.until_s) == (DORA, LEFT_S)
    assert counted(before, WEAK, 45_000)
    assert not counted(before, WEAK, LEFT_S + SLACK_S + 1)


def test_what_can_t_be_read_may_have_replaced_what_stood_before() -> None:
    weak, strict = applied(WEAK, 20_000, 1), applied(STRICT, 60_000, 9)
    lost = history(weak, unreadable=(5,))
    assert lost.unreadable(PLACE) == 5
    assert not counted(lost, WEAK, 21_000)
    mended = history(weak, strict, unreadable=(5,))
    assert mended.unreadable(PLACE) is None
    assert not counted(mended, WEAK, 21_000)
    assert counted(mended, STRICT, 61_000)
    # Signed by who did not know of it, it mends nothing.
    unaware = history(weak, applied(STRICT, 60_000, 9, log_size=4), unreadable=(5,))
    assert unaware.unreadable(PLACE) == 5
    # Before it, something readable had taken its place already.
    early = history(weak, applied(STRICT, 30_000, 3), strict, unreadable=(5,))
    assert counted(early, WEAK, 21_000)
