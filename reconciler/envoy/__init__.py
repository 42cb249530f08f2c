"""Reading a live Envoy through its admin endpoint, in the same canonical form as what is compiled."""
