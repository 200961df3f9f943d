"""What one writes without much thought: a DataLoader, a transform for each image, fp32, a for-loop.

It uses the images of our split, so that accuracies can be compared.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import datasets, transforms

from mnist_tune.jobs.mnist.dataset import load_training_images, split
from tests.benchmarks.job_task import Cell, Task, answer, wait_for_the_start


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1, 1)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(64 * 14 * 14, 128)
        self.fc2 = nn.Linear(128, 10)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv1(x))
        x = self.pool(self.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = self.relu(self.fc1(x))
        logits: Tensor = self.fc2(x)
        return logits


def train(cell: Cell, task: Task, training: Dataset[object], validation: Dataset[object]) -> None:
    began = time.monotonic()
    first_epoch = accuracy = 0.0
    torch.manual_seed(cell.seed)
    model = Net().to(task.device)
    criterion = nn.CrossEntropyLoss()
    optimizer = getattr(torch.optim, cell.optimizer)(model.parameters(), lr=cell.learning_rate)
    training_loader = DataLoader(training, batch_size=cell.batch_size, shuffle=True)
    validation_loader = DataLoader(validation, batch_size=cell.batch_size)
    for epoch in range(task.epochs):
        model.train()
        running_loss = 0.0
        for images, labels in training_loader:
            images, labels = images.to(task.device), labels.to(task.device)
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        model.eval()
        validation_loss, correct, total = 0.0, 0, 0
        with torch.no_grad():
            for images, labels in validation_loader:
                images, labels = images.to(task.device), labels.to(task.device)
                outputs = model(images)
                validation_loss += criterion(outputs, labels).item()
                correct += (outputs.argmax(1) == labels).sum().item()
                total += labels.size(0)
        accuracy = 100 * correct / total
        if epoch == 0:
            first_epoch = time.monotonic()
    answer(cell, began, first_epoch, accuracy)


def main() -> None:
    task = Task.of_argument()
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    dataset = datasets.MNIST(task.data, train=True, transform=transform)
    parts = split(load_training_images(task.data), task.train_size, task.validation_size)
    training, validation = (Subset(dataset, part.rows.tolist()) for part in parts if part.rows is not None)
    wait_for_the_start()
    for cell in task.cells:
        train(cell, task, training, validation)


if __name__ == "__main__":
    main()
