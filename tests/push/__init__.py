"""The rules of pushing: order, atomicity, proof."""
