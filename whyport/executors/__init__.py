"""Runs on clusters, by their own sessions: `whyport.executors.spark`."""
