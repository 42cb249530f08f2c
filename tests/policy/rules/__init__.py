"""One fault a case, kind by kind, as `cases` has them for the rest; `accepted` is the other half, what must not be refused.

A case is the `spec` of a document in YAML, or a part of it that a function of its module stands around.
"""
