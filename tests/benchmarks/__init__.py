"""What things cost, on this machine: `python -m tests.benchmarks --help`, and docs/benchmarks.md."""
