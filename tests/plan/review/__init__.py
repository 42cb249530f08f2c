"""What reviewers are told of a plan."""
