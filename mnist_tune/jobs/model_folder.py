"""The files in which a trained model and what is known of it are kept, side by side in a folder."""

MODEL_FILE = "model.safetensors"
CONFIGURATION_FILE = "config.toml"
"""What it was trained with."""
METRICS_FILE = "metrics.json"
"""How its training went."""
EVALUATION_FILE = "evaluation.json"
"""What it answered on the test images."""
