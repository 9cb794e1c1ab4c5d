"""From recorded events to the state that must be there, and what differs from it."""
