"""Tells malignant tumours from benign ones: a linear model on scikit-learn's breast cancer data.

A script as anyone writes it. It knows nothing of mnist-tune: tumours.toml says how it is called, and how to
read what it prints.
"""

import argparse

from numpy.random import RandomState
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit a linear model to the breast cancer data.")
    parser.add_argument("--alpha", type=float, default=1e-2, help="how strong the regularization is")
    parser.add_argument("--penalty", choices=["l1", "l2", "elasticnet"], default="l2")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    x, y = load_breast_cancer(return_X_y=True)
    x, validation_x, y, validation_y = train_test_split(x, y, test_size=169, random_state=0, stratify=y)
    scaler = StandardScaler().fit(x)
    x, validation_x = scaler.transform(x), scaler.transform(validation_x)

    model = SGDClassifier(
        loss="log_loss",
        alpha=options.alpha,
        penalty=options.penalty,
        random_state=RandomState(options.seed),  # goes on from epoch to epoch
    )
    for epoch in range(1, options.epochs + 1):
        model.partial_fit(x, y, classes=[0, 1])
        loss = log_loss(validation_y, model.predict_proba(validation_x))
        accuracy = model.score(validation_x, validation_y)
        print(f"epoch {epoch}: loss={loss:.4f} accuracy={accuracy:.4f}")


if __name__ == "__main__":
    main()
