"""A study as one HTML file that people look at: each picture answers one question.

It reads results and what `evaluate` kept; never images, and nothing that needs torch.
"""
