"""What ships for tests of others: conformance suites and doubles of our interfaces.

Nothing that runs imports it. The suites need pytest.
"""
