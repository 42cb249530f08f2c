"""Rollouts: from (spec, status, evidence, facts, now) to what happens next. Pure: no network, disk, clock or process."""
