"""The rules of reading, locating, splicing and writing YAML."""
