"""What ships for tests: a stand-in for AWS by moto. Nothing that runs imports it."""
