"""Tells people what happens in the studies of a head: commands, and addresses on the web."""
