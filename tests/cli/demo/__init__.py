"""The demo and the stage that the end-to-end tests share with it."""
