"""A study as one HTML file for people: each picture answers one question.

The report reads results and what `evaluate` kept; it never reads images, and needs no torch.
"""
