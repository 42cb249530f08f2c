"""`reconcile rollout`, against real Git."""
