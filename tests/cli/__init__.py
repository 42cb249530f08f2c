"""The verbs, as a person uses them."""
