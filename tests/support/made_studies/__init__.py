"""Studies, trials and results that are made up, without any training.

`made_...` gives something that no storage holds: an epoch, a trial's result, a study's results, a model.
`complete_...` and `fail_...` end cells of a stored study, as a worker would.
"""
