"""The head: a storage for workers and people on other machines, over HTTP; and its client."""
