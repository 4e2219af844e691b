"""DALI Studio's engine: dynamics-aligned world models of contextual environments (arXiv 2508.20294)."""

__version__ = "0.1.0"
