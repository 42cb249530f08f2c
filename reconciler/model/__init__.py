"""Frozen value types that travel between the stages of a pass, and pure functions on them. No I/O, no clock.

Import from the submodules: this package imports nothing by itself, because protobufs and pydantic cost start-up time.
"""
