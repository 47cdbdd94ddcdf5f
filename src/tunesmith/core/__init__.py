"""The nouns that every layer shares."""
