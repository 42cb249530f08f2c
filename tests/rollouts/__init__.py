"""The rollouts: engine, statistics, what is written."""
