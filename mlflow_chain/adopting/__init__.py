"""Making a database belong to a home, with a baseline of what it held."""
