"""A campaign of random tries: kills, faults, damage, wrong clocks, other users. `python -m tests.campaign --help`.

Not part of `make test`, whose tests are few and chosen; what a try finds becomes a test there.
"""
