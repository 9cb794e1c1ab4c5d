"""Operators: what a DAG has done and checked."""
