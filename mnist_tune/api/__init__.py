"""The functions and values of `import mnist_tune`: studies from Python, for scripts and notebooks."""
