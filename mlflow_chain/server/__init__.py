"""Inside ``mlflow server``: who asks, and how the server says that it records."""
