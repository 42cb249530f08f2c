"""What a real Envoy shows, and what anything else that answers is made of."""
