"""The names of the files in a model's folder: the model, and what is known about it."""

MODEL_FILE = "model.safetensors"
CONFIGURATION_FILE = "config.toml"
"""The configuration with which the model was trained."""
METRICS_FILE = "metrics.json"
"""The metrics of the model's training."""
EVALUATION_FILE = "evaluation.json"
"""The results of the model on the test images."""
