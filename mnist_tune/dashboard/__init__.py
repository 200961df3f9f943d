"""optuna-dashboard over our storage: notes are added, requests are checked, and workers are not disturbed."""
