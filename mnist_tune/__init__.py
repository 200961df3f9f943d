"""A hyperparameter search service around a PyTorch MNIST classifier."""

__version__ = "0.6.0.dev0"
