"""Cursors: one value a name, the latest."""

from __future__ import annotations

from tests.unit.chain_client.log.logs import LogUnderTest


def test_a_cursor_is_the_latest_that_was_put_and_each_name_has_its_own(
    under_test: LogUnderTest,
) -> None:
    log = under_test.log
    assert log.cursor("one") is None
    log.put_cursor("one", "1")
    log.put_cursor("two", '{"block": 7}')
    log.put_cursor("one", "ü")
    assert (log.cursor("one"), log.cursor("two")) == ("ü", '{"block": 7}')
