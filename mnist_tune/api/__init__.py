"""What `import mnist_tune` hands out: studies from Python, for scripts and notebooks."""
