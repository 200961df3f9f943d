"""optuna-dashboard over our storage: what it shows is filled in, who may ask is checked, workers go on."""
