"""Words and contracts of the house: units, errors, suppliers, observations, metrics. Imports nothing of ours."""
