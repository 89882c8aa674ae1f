"""Anchors: where checkpoints go so that the operator of the log cannot rewrite them, and what came back."""
