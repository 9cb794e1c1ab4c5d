"""Files: hashing them as they are logged, and reading them back."""
