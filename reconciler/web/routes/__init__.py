"""What is answered at which path: one file for each group of routes, which takes what it shows or starts."""
