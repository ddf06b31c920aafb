"""Compression behind a gate; `python -m model_code.compress` is the stage."""

import os

# Before torch is imported: OpenMP threads that spin while they wait cost a shared machine's neighbours, and themselves,
# five times the CPU time (measured with a load of 5 on 2 cores).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
